"""Pilot on a real API server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from services.pilot.tests.kubernetes.running_pilot import serving

from mizzen.api.virtualservice import VirtualService
from mizzen.kubernetes import watcher
from mizzen.pilot.app.pilot import Pilot
from mizzen.pilot.app.settings import Settings
from mizzen.pilot.push.debounce import Limits
from mizzen.pilot.snapshot.service import Resolution, ServiceKey
from mizzen.runtime.address import Address

pytestmark = pytest.mark.kube
SUFFIX = "svc.cluster.local"


@pytest.fixture
async def pilot(kube_server: Any, relay: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pilot]:
    monkeypatch.setattr(watcher, "RETRY_SECONDS", (0.05, 0.5))
    config = kube_server.kubeconfig(tmp_path / "kubeconfig", relay.port)
    async with running(config) as started:
        yield started


@contextlib.asynccontextmanager
async def running(kubeconfig: Path) -> AsyncIterator[Pilot]:
    anywhere = Address("127.0.0.1", 0)
    settings = Settings(anywhere, anywhere, None, None, kubeconfig=str(kubeconfig))
    async with serving(Pilot(settings, limits=Limits(quiet=0.03, endpoint_quiet=0.01))) as pilot:
        yield pilot


async def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - nothing tells when a mesh is another one
            await asyncio.sleep(0.02)


class Namespaced:
    """Objects of one namespace, as a user writes them."""

    def __init__(self, server: Any, namespace: str) -> None:
        self._server = server
        self._namespace = namespace

    def path(self, prefix: str, many: str) -> str:
        return f"{prefix}/namespaces/{self._namespace}/{many}"

    async def virtual_service(self, name: str, host: str) -> None:
        spec = {"hosts": [host], "http": [{"route": [{"destination": {"host": "reviews"}}]}]}
        item = {"apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService", "spec": spec}
        item["metadata"] = {"name": name, "namespace": self._namespace}
        await self._apply(self.path("/apis/networking.istio.io/v1beta1", "virtualservices"), item)

    async def delete_virtual_service(self, name: str) -> None:
        path = self.path("/apis/networking.istio.io/v1", "virtualservices")
        await asyncio.to_thread(self._server.delete, f"{path}/{name}")

    async def service(self, name: str, **spec: Any) -> None:
        spec.setdefault("ports", [{"name": "http", "port": 80, "targetPort": "web", "appProtocol": "http"}])
        item = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": self._namespace}}
        await self._apply(self.path("/api/v1", "services"), item | {"spec": spec})

    async def slice(self, service: str, *addresses: str, **endpoint: Any) -> None:
        metadata = {"name": f"{service}-1", "namespace": self._namespace}
        metadata["labels"] = {"kubernetes.io/service-name": service}  # type: ignore[assignment]
        item = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata,
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}, **endpoint} for address in addresses],
        }
        await self._apply(self.path("/apis/discovery.k8s.io/v1", "endpointslices"), item)

    async def pod(self, name: str, node: str, **labels: str) -> None:
        spec = {"nodeName": node, "containers": [{"name": "app", "image": "app"}]}
        metadata = {"name": name, "namespace": self._namespace, "labels": labels}
        await self._apply(
            self.path("/api/v1", "pods"), {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        )

    async def _apply(self, path: str, item: dict[str, Any]) -> None:
        await asyncio.to_thread(self._server.apply, path, item)


@pytest.fixture
def write(kube_server: Any, namespace: str) -> Namespaced:
    return Namespaced(kube_server, namespace)


def hosts(pilot: Pilot, namespace: str) -> dict[str, str]:
    """The host of each VirtualService of the namespace, as Pilot has it."""
    found = {}
    for key, resource in pilot.world.mesh.resources.items():
        if key.namespace == namespace and isinstance(resource.spec, VirtualService):
            (found[key.name],) = resource.spec.hosts
    return found


async def test_a_virtual_service_is_created_changed_and_deleted(
    pilot: Pilot, write: Namespaced, namespace: str
) -> None:
    await write.virtual_service("reviews", "a.example")
    await until(lambda: hosts(pilot, namespace) == {"reviews": "a.example"})
    assert pilot.world.mesh.routings[-1].hosts
    await write.virtual_service("reviews", "b.example")
    await until(lambda: hosts(pilot, namespace) == {"reviews": "b.example"})
    await write.delete_virtual_service("reviews")
    await until(lambda: hosts(pilot, namespace) == {})


async def test_what_was_there_before_is_listed(
    kube_server: Any, write: Namespaced, namespace: str, tmp_path: Path
) -> None:
    await write.virtual_service("reviews", "a.example")
    async with running(kube_server.kubeconfig(tmp_path / "kubeconfig")) as pilot:
        assert hosts(pilot, namespace) == {"reviews": "a.example"}


async def test_endpoints_carry_labels_of_pods_and_the_locality_of_nodes(
    pilot: Pilot, kube_server: Any, write: Namespaced, namespace: str
) -> None:
    key = ServiceKey(f"web.{namespace}.{SUFFIX}", namespace)
    place = {"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "eu-1"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{namespace}", "labels": place}}
    kube_server.apply("/api/v1/nodes", node)
    await write.service("web", selector={"app": "web"})
    await write.pod("web-1", f"node-{namespace}", app="web", version="v1")
    await write.slice("web", "10.1.0.1", targetRef={"kind": "Pod", "name": "web-1"})

    def complete() -> bool:
        found = pilot.world.mesh.endpoints.get(key, ())
        return [(e.address, e.port, e.locality, ("version", "v1") in e.labels) for e in found] == [
            ("10.1.0.1", 8080, "eu/eu-1", True)
        ]

    await until(complete)
    await write.slice("web", "10.1.0.1", "10.1.0.2")
    await until(lambda: {e.address for e in pilot.world.mesh.endpoints[key]} == {"10.1.0.1", "10.1.0.2"})


async def test_headless_and_external_services(pilot: Pilot, write: Namespaced, namespace: str) -> None:
    await write.service("none", clusterIP="None", selector={"app": "web"})
    await write.service("far", type="ExternalName", externalName="far.example")
    keys = [ServiceKey(f"{name}.{namespace}.{SUFFIX}", namespace) for name in ("none", "far")]
    await until(lambda: all(key in pilot.world.mesh.by_key for key in keys))
    headless, external = (pilot.world.mesh.by_key[key] for key in keys)
    assert (headless.headless, headless.resolution) == (True, Resolution.PASSTHROUGH)
    assert (external.external_name, external.resolution) == ("far.example", Resolution.DNS)
    assert [str(port.protocol) for port in headless.ports] == ["HTTP"]


async def test_a_bad_object_is_a_problem_and_keeps_its_last_good_version(
    pilot: Pilot, kube_server: Any, write: Namespaced, namespace: str
) -> None:
    """Schemas let this pass: it is a rule between fields."""
    await write.virtual_service("reviews", "a.example")
    await until(lambda: hosts(pilot, namespace) == {"reviews": "a.example"})
    path = write.path("/apis/networking.istio.io/v1", "virtualservices")
    destinations = [{"destination": {"host": "a"}, "weight": 0}, {"destination": {"host": "b"}, "weight": 0}]
    bad = {"spec": {"hosts": ["b.example"], "http": [{"route": destinations}]}}
    kube_server.request("PATCH", f"{path}/reviews", bad, "application/merge-patch+json")
    await write.virtual_service("other", "c.example")
    await until(lambda: hosts(pilot, namespace) == {"reviews": "a.example", "other": "c.example"})
    errors = [problem for problem in pilot.world.problems() if problem.severity == "error"]
    found = [problem.path for problem in errors if problem.resource == f"VirtualService {namespace}/reviews"]
    assert found == ["spec.http[0].route"]


async def test_an_api_server_that_is_killed_and_started_again(
    pilot: Pilot, kube_server: Any, write: Namespaced, namespace: str
) -> None:
    await write.virtual_service("before", "a.example")
    await until(lambda: hosts(pilot, namespace) == {"before": "a.example"})
    kube_server.stop()
    await asyncio.sleep(1)
    assert hosts(pilot, namespace) == {"before": "a.example"}
    await asyncio.to_thread(kube_server.start)
    await write.virtual_service("after", "b.example")
    await until(lambda: hosts(pilot, namespace) == {"before": "a.example", "after": "b.example"})


@pytest.mark.parametrize("expires", [False, True], ids=["outage", "outage and 410"])
async def test_what_happens_during_an_outage_is_known_afterwards(
    pilot: Pilot, kube_server: Any, relay: Any, write: Namespaced, namespace: str, expires: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    key = ServiceKey(f"web.{namespace}.{SUFFIX}", namespace)
    await write.service("web")
    await write.slice("web", "10.1.0.1")
    for name in ("kept", "changed", "deleted"):
        await write.virtual_service(name, "a.example")
    await until(lambda: len(hosts(pilot, namespace)) == 3 and key in pilot.world.mesh.endpoints)
    sizes: list[tuple[int, int]] = []

    def observe() -> bool:
        mesh = pilot.world.mesh
        sizes.append((len(hosts(pilot, namespace)), len(mesh.endpoints.get(key, ()))))
        return hosts(pilot, namespace) == {"kept": "a.example", "changed": "b.example", "new": "c.example"} and [
            endpoint.address for endpoint in mesh.endpoints[key]
        ] == ["10.1.0.2"]

    await relay.cut()
    await write.virtual_service("changed", "b.example")
    await write.virtual_service("new", "c.example")
    await write.delete_virtual_service("deleted")
    await write.slice("web", "10.1.0.2")
    if expires:
        # The new server's own memory begins now, and etcd forgets what was before.
        await asyncio.to_thread(kube_server.compact)
        await asyncio.to_thread(kube_server.stop)
        await asyncio.to_thread(kube_server.start)
    assert not observe()
    lists = counting_lists(pilot)
    await relay.open()
    await until(observe)
    assert min(services for services, _ in sizes) >= 3, "no table was empty for a moment"
    assert min(endpoints for _, endpoints in sizes) == 1
    assert bool(lists) == expires, "a list is for what cannot be had otherwise"


def counting_lists(pilot: Pilot) -> list[str]:
    """The collections that are listed from now on, without those that are asked for until they are served."""
    assert pilot._cluster is not None
    client = pilot._cluster.client
    listed: list[str] = []
    original = client.list_all

    async def counted(collection: Any) -> Any:
        if not collection.optional:
            listed.append(collection.name)
        return await original(collection)

    client.list_all = counted  # type: ignore[method-assign]
    return listed
