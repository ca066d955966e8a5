"""Status in a real API server, written by the one Pilot that leads, with no more rights than the documentation says."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from mizzen.api.resource import ResourceKey
from mizzen.pilot.ingest.kubernetes import status

pytestmark = pytest.mark.kube
GROUP = "/apis/networking.istio.io/v1"
CLASSES = "/apis/gateway.networking.k8s.io/v1/gatewayclasses"
LEASES = "/apis/coordination.k8s.io/v1"


class Objects:
    """What the API server has in one namespace."""

    def __init__(self, server: Any, namespace: str) -> None:
        self._server = server
        self.namespace = namespace

    async def virtual_service(self, *weights: int) -> None:
        route = [{"destination": {"host": f"v{number}"}, "weight": weight} for number, weight in enumerate(weights)]
        metadata = {"name": "reviews", "namespace": self.namespace}
        spec = {"hosts": [self.namespace], "http": [{"route": route}]}
        item = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata, "spec": spec}
        path = f"{GROUP}/namespaces/{self.namespace}/virtualservices"
        await asyncio.to_thread(self._server.apply, path, item)

    async def gateway_class(self) -> str:
        """One of ours; its name."""
        spec = {"controllerName": "mizzen.io/gateway-controller"}
        item = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "spec": spec}
        await asyncio.to_thread(self._server.apply, CLASSES, item | {"metadata": {"name": self.namespace}})
        return self.namespace

    async def until_accepted(self, name: str) -> None:
        """Wait until the class is said to be ours."""
        async with asyncio.timeout(30):
            while True:
                found = await asyncio.to_thread(self._server.request, "GET", f"{CLASSES}/{name}")
                if found["status"]["conditions"][0]["reason"] == "Accepted":
                    return
                await asyncio.sleep(0.1)

    async def status(self) -> Any:
        path = f"{GROUP}/namespaces/{self.namespace}/virtualservices/reviews"
        found = await asyncio.to_thread(self._server.request, "GET", path)
        return found.get("status") or {}

    async def holder(self) -> str:
        path = f"{LEASES}/namespaces/{self.namespace}/leases/mizzen-pilot"
        found = await asyncio.to_thread(self._server.request, "GET", path)
        return str(found["spec"].get("holderIdentity") or "")

    async def until(self, generation: int, *values: tuple[str, str, str]) -> Any:
        """Wait for a status; it."""
        found: Any = {}
        try:
            async with asyncio.timeout(30):
                while True:
                    found = await self.status()
                    conditions = found.get("conditions") or ()
                    stated = tuple((item["type"], item["status"], item["reason"]) for item in conditions)
                    if (found.get("observedGeneration"), stated) == (generation, values):
                        return found
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pytest.fail(f"the status stays {found}")


GOOD = (("PassedValidation", "True", "noErrorsFound"), ("Reconciled", "True", "ready"))
BAD = (("PassedValidation", "False", "errorsFound"), ("Reconciled", "False", "stillPropagating"))


@pytest.fixture
def objects(kube_server: Any, namespace: str) -> Objects:
    return Objects(kube_server, namespace)


async def test_a_resource_tells_what_became_of_it(
    kube_server: Any, objects: Objects, running: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = kube_server.kubeconfig(tmp_path / "kubeconfig")
    await objects.virtual_service(1)
    async with running(config, objects.namespace):
        first = await objects.until(1, *GOOD)
        await objects.virtual_service(0, 0)
        found = await objects.until(2, *BAD)
        assert found["conditions"][0]["message"] == (
            "error: spec.http[0].route: all weights are 0, so no destination would get traffic"
        )
        assert found["conditions"][1]["message"] == "Generation 1 is in use"
        await objects.virtual_service(1, 1)
        await objects.until(3, *GOOD)
    assert first["conditions"][0]["lastTransitionTime"]


async def test_the_documented_rights_are_needed_and_enough(
    rights: Any,
    gateway_api_definitions: None,
    objects: Objects,
    running: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(status, "RETRY_SECONDS", 0.5)
    namespace = objects.namespace
    config = rights.kubeconfig(tmp_path)
    await objects.virtual_service(1)
    name = await objects.gateway_class()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2), running(config, namespace):
            pytest.fail("nothing may be read without rights")
    read, _, write, lead, *_ = rights.documented()
    rights.grant("read", read, inside=False)
    async with running(config, namespace) as pilot:
        assert ResourceKey("VirtualService", namespace, "reviews") in pilot.world.mesh.resources
        rights.grant("lead", lead, inside=True)
        rights.grant("write", write, inside=False)
        await objects.until(1, *GOOD)
        await objects.until_accepted(name)


async def test_one_of_two_writes_and_the_other_takes_over_what_is_there(
    kube_server: Any, objects: Objects, running: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = kube_server.kubeconfig(tmp_path / "kubeconfig")
    await objects.virtual_service(1)
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        await first.enter_async_context(running(config, objects.namespace))
        before = await objects.until(1, *GOOD)
        leader = await objects.holder()
        await second.enter_async_context(running(config, objects.namespace))
        await asyncio.sleep(3)
        assert await objects.holder() == leader
        await first.aclose()
        await objects.virtual_service(0, 0)
        await objects.until(2, *BAD)
        assert await objects.holder() not in ("", leader)
        await objects.virtual_service(1)
        after = await objects.until(3, *GOOD)
    assert [item["type"] for item in after["conditions"]] == [item["type"] for item in before["conditions"]]
    assert await objects.holder() == "", "the last one gave it back"
