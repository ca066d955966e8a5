"""Pilots tell each other on a real API server how far they are with switching mutual TLS."""

from __future__ import annotations

import asyncio
import urllib.error
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from services.pilot.tests.kubernetes.running_pilot import serving

from mizzen.api.security import MutualTLSMode
from mizzen.kubernetes.access import access_to
from mizzen.kubernetes.client import Client
from mizzen.pilot.app import agreement
from mizzen.pilot.app.pilot import Pilot
from mizzen.pilot.app.settings import Settings
from mizzen.pilot.ingest.kubernetes import notices
from mizzen.pilot.ingest.kubernetes.notices import Notices
from mizzen.pilot.snapshot.agreement import Others, Unknown, configuration_of, report
from mizzen.pilot.snapshot.staging import NOWHERE, Place, Step, Taken, targets
from mizzen.runtime.address import Address

pytestmark = pytest.mark.kube
ANYWHERE = Address("127.0.0.1", 0)
NAME = "mizzen-pilot-switching"
PERMISSIVE, STRICT = MutualTLSMode.PERMISSIVE, MutualTLSMode.STRICT


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(notices, "RETRY_SECONDS", 0.5)


@pytest.fixture
def config(kube_server: Any, tmp_path: Path) -> Path:
    found: Path = kube_server.kubeconfig(tmp_path / "kubeconfig")
    return found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 a condition on several processes
            await asyncio.sleep(0.01)


@asynccontextmanager
async def telling(
    config: Path, namespace: str, name: str, texts: dict[str, str], clock: Clock
) -> AsyncIterator[Notices]:
    client = Client(access_to(str(config), {}), "test")
    found = Notices(client, (namespace, NAME), name, lambda: texts[name], clock)
    running = asyncio.ensure_future(found.run())
    try:
        yield found
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await client.close()


async def test_each_hears_of_the_others_as_long_as_they_live(
    kube_server: Any, config: Path, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, clock = {"a": "one", "b": "1", "c": "who"}, Clock()
    path = f"/api/v1/namespaces/{namespace}/configmaps/{NAME}"

    def stored() -> set[str]:
        try:
            return set(kube_server.request("GET", path)["data"])
        except urllib.error.HTTPError:
            return set()

    async with telling(config, namespace, "a", texts, clock) as a:
        async with telling(config, namespace, "b", texts, clock) as b:
            await until(lambda: (a.others(), b.others()) == ({"b": "1"}, {"a": "one"}))
            texts["a"] = "two"
            await until(lambda: b.others() == {"a": "two"})
            clock.now += notices.LAPSE_SECONDS - 5  # both write again, as a sign of life
            await until(lambda: all(each > clock.now - 1 for _, each in (*a._seen.values(), *b._seen.values())))
        clock.now += notices.LAPSE_SECONDS
        assert a.others() == {}
        late = Notices(a._client, (namespace, NAME), "c", lambda: "who", clock)
        assert late.others() is None
        assert await late.load() == {"a": "two", "b": "1"}, "who starts finds what was said before"
        assert stored() == {"a", "b"}
        clock.now += notices.FORGET_SECONDS
        async with asyncio.timeout(20):
            while await asyncio.to_thread(stored) != {"a"}:  # noqa: ASYNC110 - it asks the API server
                await asyncio.sleep(0.05)


async def test_who_hears_nothing_waits_and_then_goes_on_alone(config: Path, namespace: str) -> None:
    clock = Clock()
    client = Client(access_to(str(config), {}), "test")
    deaf = Notices(client, (namespace, "nowhere"), "a", lambda: "", clock)
    assert await deaf.load() == {}
    assert deaf.others() is None
    clock.now += notices.LAPSE_SECONDS
    assert deaf.others() == {}
    await client.close()


def workload(place: Place) -> dict[str, Any]:
    spec = {
        "hosts": [f"db-{place.address}.shop"],
        "location": "MESH_INTERNAL",
        "ports": [{"number": place.port, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "endpoints": [{"address": place.address, "labels": {"security.istio.io/tlsMode": "istio"}}],
    }
    return {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "spec": spec}


ONE, TWO = Place("10.0.0.9", 80), Place("10.0.0.7", 80)


def apply(server: Any, namespace: str, item: dict[str, Any], name: str = "db") -> None:
    many = "serviceentries" if item["kind"] == "ServiceEntry" else "peerauthentications"
    path = f"/apis/{item['apiVersion']}/namespaces/{namespace}/{many}"
    server.apply(path, item | {"metadata": {"name": name, "namespace": namespace}})


def policy(mode: MutualTLSMode) -> dict[str, Any]:
    spec = {"mtls": {"mode": str(mode)}}
    return {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "spec": spec}


@asynccontextmanager
async def running(config: Path, namespace: str, folder: Path) -> AsyncIterator[Pilot]:
    (folder / "mesh.yaml").write_text("enableAutoMtls: true\n")
    lease, mesh = (namespace, "mizzen-pilot"), folder / "mesh.yaml"
    settings = Settings(ANYWHERE, ANYWHERE, None, None, mesh, str(config), status_lease=lease)
    async with serving(Pilot(settings)) as pilot:
        yield pilot


def settled_on(pilot: Pilot, place: Place, mode: MutualTLSMode) -> bool:
    mesh = pilot.world.mesh
    return place not in mesh.staging and targets(mesh).get(place) is mode


async def test_a_port_waits_for_the_clients_of_the_other_pilot(
    kube_server: Any, config: Path, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[Taken] = []
    monkeypatch.setattr(agreement, "taken", lambda _: tuple(late))  # what both say of their proxies
    apply(kube_server, namespace, workload(ONE))
    apply(kube_server, namespace, policy(PERMISSIVE))
    async with AsyncExitStack() as stack:
        pilots = [await stack.enter_async_context(running(config, namespace, tmp_path)) for _ in "ab"]

        def others(pilot: Pilot) -> int:
            assert pilot._agreement is not None
            found = pilot._agreement.elsewhere(pilot.world.mesh)
            return len(found.reports) if isinstance(found, Others) else -1

        await until(lambda: all(others(each) == 1 and settled_on(each, ONE, PERMISSIVE) for each in pilots))
        late.append(Taken("page.shop", ("10.0.0.8",), speaks_tls=True, late_client="has not answered"))
        await until(lambda: all("waits for its clients" in str(_reasons(each)) for each in pilots))
        apply(kube_server, namespace, policy(STRICT))
        await until(lambda: all(each.switch.waits().get(ONE) for each in pilots))
        await until(lambda: all("waits for its clients" in str(each.switch.waits()) for each in pilots))
        late.clear()
        await until(lambda: all(settled_on(each, ONE, STRICT) for each in pilots))


def _reasons(pilot: Pilot) -> tuple[str, ...]:
    assert pilot._agreement is not None
    return pilot._agreement.elsewhere(pilot.world.mesh).late_clients(ONE, True)


async def test_a_pilot_that_starts_goes_on_where_one_before_has_stopped(
    kube_server: Any, config: Path, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(kube_server, namespace, workload(TWO))
    apply(kube_server, namespace, policy(STRICT))
    async with running(config, namespace, tmp_path) as first:
        mesh = first.world.mesh
        assert settled_on(first, TWO, STRICT)  # nobody has said anything: all is as it should be
        steps = {TWO: Step(PERMISSIVE, offered=True)}
        text = report(mesh.with_staging(steps, "1"), configuration_of(mesh), []).text()
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "namespace": namespace}}
    kube_server.apply(path, item | {"data": {"before": f"7 {text}"}})
    async with running(config, namespace, tmp_path) as second:
        assert second.world.mesh.staging == steps
        assert second._agreement is not None
        assert isinstance(second._agreement.elsewhere(second.world.mesh), Unknown)
        await until(lambda: "may not be back yet" in str(second.switch.waits()))
        monkeypatch.setattr(second.switch, "_elsewhere", lambda _: NOWHERE)  # as half a minute later
        await until(lambda: settled_on(second, TWO, STRICT))
