"""The Gateway API on a real API server, with the real definitions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from support.kube.programs import gateway_api

from mizzen.kubernetes import watcher
from mizzen.pilot.app.pilot import Pilot

pytestmark = pytest.mark.kube
GROUP = "gateway.networking.k8s.io"
CONTROLLER = "mizzen.io/gateway-controller"


async def until(holds: Callable[[], bool], what: Callable[[], Any], seconds: float = 30) -> None:
    """Wait; fail with what there is instead."""
    try:
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - the API server is asked
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"it stays {what()}")


class Objects:
    """Of the Gateway API and around it, in one namespace; classes are named like that."""

    def __init__(self, server: Any, namespace: str) -> None:
        self._server = server
        self._namespace = namespace

    def path(self, many: str) -> str:
        if many == "services":
            return f"/api/v1/namespaces/{self._namespace}/services"
        place = "" if many == "gatewayclasses" else f"/namespaces/{self._namespace}"
        return f"/apis/{GROUP}/v1{place}/{many}"

    async def gateway_class(self, name: str = "", controller: str = CONTROLLER) -> None:
        await self._apply("gatewayclasses", "GatewayClass", name or self._namespace, {"controllerName": controller})

    async def gateway(self, *hostnames: str, name: str = "edge", of_class: str = "") -> None:
        listeners = [
            {"name": f"l{number}", "port": 80, "protocol": "HTTP", "hostname": name}
            for number, name in enumerate(hostnames)
        ]
        spec = {"gatewayClassName": of_class or self._namespace, "listeners": listeners}
        await self._apply("gateways", "Gateway", name, spec)

    async def route(self, name: str, hostname: str, path: Any = None) -> None:
        rule: dict[str, Any] = {"backendRefs": [{"name": "web", "port": 80}]}
        if path is not None:
            rule["matches"] = [{"path": path}]
        spec = {"parentRefs": [{"name": "edge"}], "hostnames": [hostname], "rules": [rule]}
        await self._apply("httproutes", "HTTPRoute", name, spec)

    async def service(self) -> None:
        spec = {"ports": [{"name": "http", "port": 80, "protocol": "TCP"}], "selector": {"app": "web"}}
        await self._apply("services", "Service", "web", spec, "v1")

    async def delete(self, many: str, name: str) -> None:
        await asyncio.to_thread(self._server.delete, f"{self.path(many)}/{name}")

    async def add_parent(self, name: str, entry: dict[str, Any]) -> None:
        """As another controller does it."""
        path = f"{self.path('httproutes')}/{name}"
        found = await asyncio.to_thread(self._server.request, "GET", path)
        patch = {"status": {"parents": [entry, *found["status"]["parents"]]}}
        await asyncio.to_thread(self._server.request, "PATCH", f"{path}/status", patch, "application/merge-patch+json")

    def get(self, many: str, name: str) -> Any:
        return self._server.request("GET", f"{self.path(many)}/{name}")

    def conditions(self, many: str, name: str) -> list[str]:
        """Of all parts of the status, with the generation that each is about."""
        status = self.get(many, name).get("status") or {}
        found = list(status.get("conditions") or ())
        for part in (*(status.get("listeners") or ()), *(status.get("parents") or ())):
            found += part["conditions"]
        return [f"{c['type']}={c['status']} {c['reason']} @{c.get('observedGeneration')}" for c in found]

    async def until(self, many: str, name: str, *expected: str) -> None:
        await until(lambda: self.conditions(many, name) == list(expected), lambda: self.conditions(many, name))

    async def _apply(self, many: str, kind: str, name: str, spec: Any, version: str = f"{GROUP}/v1") -> None:
        metadata = {"name": name} | ({} if kind == "GatewayClass" else {"namespace": self._namespace})
        item = {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
        await asyncio.to_thread(self._server.apply, self.path(many), item)


@pytest.fixture
def objects(kube_server: Any, namespace: str) -> Objects:
    return Objects(kube_server, namespace)


@pytest.fixture
async def pilot(
    kube_server: Any, namespace: str, running: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Pilot]:
    monkeypatch.setattr(watcher, "RETRY_SECONDS", (0.05, 0.2))
    async with running(kube_server.kubeconfig(tmp_path / "kubeconfig"), namespace) as started:
        yield started


def outages(pilot: Pilot) -> tuple[str, ...]:
    assert pilot._cluster is not None
    return pilot._cluster.outages


ROUTE = ("Accepted=True Accepted @{0}", "ResolvedRefs=True ResolvedRefs @{0}")
LISTENER = (
    "Accepted=True Accepted @1",
    "Conflicted=False NoConflicts @1",
    "ResolvedRefs=True ResolvedRefs @1",
    "Programmed=True Programmed @1",
)


def good_route(generation: int) -> list[str]:
    return [text.format(generation) for text in ROUTE]


async def test_definitions_that_come_late_and_go_again(pilot: Pilot, objects: Objects, kube_server: Any) -> None:
    assert outages(pilot) == (), "it is ready without them, and misses nothing"
    await asyncio.to_thread(kube_server.define, gateway_api())
    await objects.service()
    await objects.gateway_class()
    await objects.gateway("*.example.com")
    await objects.route("web", "web.example.com")
    await objects.until("httproutes", "web", *good_route(1))
    await objects.until("gateways", "edge", "Accepted=True Accepted @1", "Programmed=True Programmed @1", *LISTENER)
    await asyncio.to_thread(kube_server.undefine, gateway_api())
    await until(lambda: not pilot.world.mesh.translation.states, lambda: pilot.world.mesh.translation.states)
    await until(lambda: outages(pilot) == (), lambda: outages(pilot))


async def test_status_is_kept_up_with(gateway_api_definitions: None, pilot: Pilot, objects: Objects) -> None:
    await objects.gateway_class()
    await objects.until("gatewayclasses", objects._namespace, "Accepted=True Accepted @1")
    await objects.gateway("a.example.com", "b.example.com")
    await objects.route("web", "a.example.com")
    missing = "ResolvedRefs=False BackendNotFound @1"
    await objects.until("httproutes", "web", "Accepted=True Accepted @1", missing)
    await objects.service()
    await objects.until("httproutes", "web", *good_route(1))
    status = objects.get("gateways", "edge")["status"]
    assert [(each["name"], each["attachedRoutes"]) for each in status["listeners"]] == [("l0", 1), ("l1", 0)]
    assert status["listeners"][0]["supportedKinds"] == [
        {"group": GROUP, "kind": "HTTPRoute"},
        {"group": GROUP, "kind": "GRPCRoute"},
    ]
    first, shape = objects.get("httproutes", "web"), objects.get("gatewayclasses", objects._namespace)
    await objects.route("other", "b.example.com")
    await objects.until("httproutes", "other", *good_route(1))
    attached = lambda: [each["attachedRoutes"] for each in objects.get("gateways", "edge")["status"]["listeners"]]  # noqa: E731
    await until(lambda: attached() == [1, 1], attached)
    assert objects.get("httproutes", "web") == first, "nothing is written that is so already"
    assert objects.get("gatewayclasses", objects._namespace) == shape


async def test_what_another_controller_says_stays(
    gateway_api_definitions: None, pilot: Pilot, objects: Objects
) -> None:
    await objects.service()
    await objects.gateway_class()
    await objects.gateway("*.example.com")
    await objects.route("web", "a.example.com")
    await objects.until("httproutes", "web", *good_route(1))
    time = objects.get("httproutes", "web")["status"]["parents"][0]["conditions"][0]["lastTransitionTime"]
    said = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "lastTransitionTime": time}
    parent = {"group": GROUP, "kind": "Gateway", "name": "theirs"}
    entry = {"parentRef": parent, "controllerName": "example.com/theirs", "conditions": [said]}
    await objects.add_parent("web", entry)
    await objects.route("web", "a.elsewhere.com")
    theirs = "Accepted=True Accepted @None"
    await objects.until(
        "httproutes", "web", theirs, "Accepted=False NoMatchingListenerHostname @2", "ResolvedRefs=True ResolvedRefs @2"
    )
    await objects.delete("gateways", "edge")
    await objects.until("httproutes", "web", theirs)
    assert objects.get("httproutes", "web")["status"]["parents"] == [entry]


async def test_a_route_that_becomes_wrong_is_told_and_goes_on(
    gateway_api_definitions: None, pilot: Pilot, objects: Objects
) -> None:
    await objects.service()
    await objects.gateway_class()
    await objects.gateway("*.example.com")
    await objects.route("web", "a.example.com", {"type": "RegularExpression", "value": "/a+"})
    await objects.until("httproutes", "web", *good_route(1))
    await objects.route("web", "a.example.com", {"type": "RegularExpression", "value": "/a("})
    await objects.until("httproutes", "web", "Accepted=False UnsupportedValue @2", "ResolvedRefs=True ResolvedRefs @1")
    assert any("a.example.com" in routing.hosts for routing in pilot.world.mesh.translation.routings)


async def test_a_route_that_was_never_right_is_told_so(
    gateway_api_definitions: None, pilot: Pilot, objects: Objects
) -> None:
    await objects.service()
    await objects.gateway_class()
    await objects.gateway("*.example.com")
    await objects.route("web", "a.example.com", {"type": "RegularExpression", "value": "/a("})
    await objects.until("httproutes", "web", "Accepted=False UnsupportedValue @1")
    await objects.route("web", "a.example.com", {"type": "RegularExpression", "value": "/a+"})
    await objects.until("httproutes", "web", *good_route(2))


async def test_another_controllers_gateways_are_left_alone(
    gateway_api_definitions: None, pilot: Pilot, objects: Objects, namespace: str
) -> None:
    theirs = f"{namespace}-theirs"
    await objects.gateway_class(theirs, "example.com/theirs")
    await objects.gateway("*.example.com", name="theirs", of_class=theirs)
    await objects.gateway_class()
    await objects.gateway("*.example.com")
    await objects.until("gateways", "edge", "Accepted=True Accepted @1", "Programmed=True Programmed @1", *LISTENER)
    waiting = ["Accepted=Unknown Pending @None", "Programmed=Unknown Pending @None"]
    assert objects.conditions("gateways", "theirs") == waiting
    assert objects.conditions("gatewayclasses", theirs) == waiting[:1]
