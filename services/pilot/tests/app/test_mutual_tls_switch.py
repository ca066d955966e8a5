"""A whole Pilot switches mutual TLS at the pace of the proxies that are connected."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.config.core.v3 import base_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.protobuf import struct_pb2

from mizzen.pilot.app import switch
from mizzen.pilot.generate.typeurls import CLUSTER, ENDPOINT, LISTENER
from mizzen.runtime.address import Address

CLUSTER_NAME = "outbound|9080||reviews.default.svc.cluster.local"
REGISTRY = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {selector: {app: reviews}, clusterIP: 10.1.0.1, ports: [{name: http, port: 9080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: reviews-1, namespace: default, labels: {app: reviews, security.istio.io/tlsMode: istio}}
status: {podIP: 10.0.0.9}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reviews-1, namespace: default, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
ports: [{name: http, port: 9080}]
endpoints: [{addresses: [10.0.0.9], targetRef: {kind: Pod, name: reviews-1, namespace: default}}]
"""
POLICY = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: reviews, namespace: default}
spec: {mtls: {mode: MODE}}
"""


class Sidecar:
    """Follows clusters, endpoints and listeners; accepts what it is sent when the test says so."""

    def __init__(self, call: Any, name: str, address: str, labels: dict[str, str], role: str) -> None:
        self._call = call
        self._node = base_pb2.Node(id=f"{role}~{address}~{name}.default~default.svc.cluster.local")
        self._node.metadata.CopyFrom(struct_pb2.Struct())
        self._node.metadata.update({"LABELS": {"app": name, **labels}})
        self.accepts = True
        self.held: list[tuple[str, str]] = []
        self.speaks = ""
        self.serves: set[str] = set()

    async def follow(self) -> None:
        for type_url, names in ((CLUSTER, ()), (ENDPOINT, (CLUSTER_NAME,)), (LISTENER, ())):
            await self._call.write(
                discovery_pb2.DeltaDiscoveryRequest(node=self._node, type_url=type_url, resource_names_subscribe=names)
            )
        while (response := await self._call.read()) is not grpc.aio.EOF:
            for resource in response.resources:
                self._read(resource.resource)
            if self.accepts:
                await self._accept(response.type_url, response.nonce)
            else:
                self.held.append((response.type_url, response.nonce))

    async def accept(self) -> None:
        """What was held back, and all that comes from now on."""
        self.accepts = True
        held, self.held = self.held, []
        for type_url, nonce in held:
            await self._accept(type_url, nonce)

    async def _accept(self, type_url: str, nonce: str) -> None:
        await self._call.write(discovery_pb2.DeltaDiscoveryRequest(type_url=type_url, response_nonce=nonce))

    def _read(self, packed: Any) -> None:
        load, listener = endpoint_pb2.ClusterLoadAssignment(), listener_pb2.Listener()
        if packed.Unpack(load):
            (group,) = load.endpoints
            self.speaks = (
                "tls" if "envoy.transport_socket_match" in group.lb_endpoints[0].metadata.filter_metadata else "plain"
            )
        elif packed.Unpack(listener) and listener.name == "virtualInbound":
            chains = [each for each in listener.filter_chains if each.filter_chain_match.destination_port.value == 9080]
            self.serves = {"tls" if each.HasField("transport_socket") else "plain" for each in chains}


@contextlib.asynccontextmanager
async def sidecar(
    address: Address, name: str, own: str, *, tls: bool = True, role: str = "sidecar"
) -> AsyncIterator[Sidecar]:
    labels = {"security.istio.io/tlsMode": "istio"} if tls else {}
    async with grpc.aio.insecure_channel(str(address)) as channel:
        call = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel).DeltaAggregatedResources()
        proxy = Sidecar(call, name, own, labels, role)
        following = asyncio.create_task(proxy.follow())
        try:
            yield proxy
        finally:
            following.cancel()
            call.cancel()
            await asyncio.gather(following, return_exceptions=True)


@pytest.fixture
async def pilot(tmp_path: Path, pilot: Any) -> Any:
    await pilot.stop()
    (tmp_path / "mesh.yaml").write_text("enableAutoMtls: true\n")
    pilot.apply("config/services.yaml", REGISTRY)
    await pilot.start()
    return pilot


@pytest.fixture
async def server(pilot: Any) -> AsyncIterator[Sidecar]:
    async with sidecar(pilot.xds, "reviews", "10.0.0.9") as proxy:
        yield proxy


@pytest.fixture
async def client(pilot: Any) -> AsyncIterator[Sidecar]:
    async with sidecar(pilot.xds, "page", "10.0.0.8") as proxy:
        yield proxy


async def until(pilot: Any, server: Sidecar, client: Sidecar, serves: set[str], speaks: str) -> None:
    async def there() -> bool:
        return server.serves == serves and client.speaks == speaks

    await pilot.until(there)


async def test_strict_waits_for_clients(pilot: Any, server: Sidecar, client: Sidecar) -> None:
    await until(pilot, server, client, {"tls", "plain"}, "tls")
    client.accepts = False
    pilot.apply("config/more.yaml", REGISTRY.replace("reviews", "ratings").replace("10.0.0.9", "10.0.0.7"))
    pilot.apply("config/policy.yaml", POLICY.replace("MODE", "STRICT"))

    async def held_up() -> bool:  # the server is a client too, and answers
        return list(pilot.pilot.switch.waits().values()) == [("page.default has not answered",)]

    await pilot.until(held_up)
    assert server.serves == {"tls", "plain"}
    await client.accept()
    await until(pilot, server, client, {"tls"}, "tls")


async def test_disable_tells_clients_first_and_then_servers(pilot: Any, server: Sidecar, client: Sidecar) -> None:
    pilot.apply("config/policy.yaml", POLICY.replace("MODE", "STRICT"))
    await until(pilot, server, client, {"tls"}, "tls")
    server.accepts = False
    pilot.apply("config/policy.yaml", POLICY.replace("MODE", "DISABLE"))
    await until(pilot, server, client, {"tls", "plain"}, "tls")
    client.accepts = False
    await server.accept()
    await until(pilot, server, client, {"tls", "plain"}, "plain")
    await client.accept()
    await until(pilot, server, client, {"plain"}, "plain")


async def test_switching_on_tells_clients_when_the_server_is_able(pilot: Any, server: Sidecar, client: Sidecar) -> None:
    pilot.apply("config/policy.yaml", POLICY.replace("MODE", "DISABLE"))
    await until(pilot, server, client, {"plain"}, "plain")
    server.accepts = False
    pilot.apply("config/policy.yaml", POLICY.replace("MODE", "STRICT"))
    await until(pilot, server, client, {"tls", "plain"}, "plain")
    await server.accept()
    await until(pilot, server, client, {"tls"}, "tls")


async def test_a_client_that_never_answers_is_named_and_does_not_keep_strict_off_for_ever(
    pilot: Any, server: Sidecar, client: Sidecar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await until(pilot, server, client, {"tls", "plain"}, "tls")
    monkeypatch.setattr(switch, "WARN_SECONDS", 0.2)
    monkeypatch.setattr(switch, "LIMIT_SECONDS", 0.5)
    client.accepts = False
    pilot.apply("config/more.yaml", REGISTRY.replace("reviews", "ratings").replace("10.0.0.9", "10.0.0.7"))
    pilot.apply("config/policy.yaml", POLICY.replace("MODE", "STRICT"))

    await until(pilot, server, client, {"tls"}, "tls")
    warnings = [each.message for each in caplog.records if each.levelno == logging.WARNING]
    expected = "10.0.0.9:9080 (reviews.default.svc.cluster.local) is not STRICT yet: page.default has not answered"
    assert expected in warnings


async def test_strict_without_a_certificate_is_warned_of(pilot: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with sidecar(pilot.xds, "old", "10.0.0.6", tls=False):
        await pilot.until_connected(1)
        pilot.apply("config/policy.yaml", POLICY.replace("MODE", "STRICT"))

        async def problems() -> Any:
            return (await pilot.get("/debug/configz"))["problems"]

        (problem,) = await pilot.until(problems)

        async def logged() -> bool:
            return "old.default" in caplog.text

        await pilot.until(logged)
    assert problem["resource"] == "PeerAuthentication default/reviews"
    assert problem["message"].endswith("nobody can reach it: old.default")


async def test_the_page_tells_what_each_port_takes_and_who_is_in_its_way(
    pilot: Any, server: Sidecar, client: Sidecar
) -> None:
    await until(pilot, server, client, {"tls", "plain"}, "tls")
    async with sidecar(pilot.xds, "old", "10.0.0.6", tls=False):
        await pilot.synced(3, "cds", "lds")
        (row,) = await pilot.get("/debug/mtlsz")
    (workload,) = row["workloads"]
    assert (row["service"], row["port"]) == ("reviews.default.svc.cluster.local", 9080)
    assert row["clientsInPlainText"] == ["old.default has no certificate"]
    assert workload["proxy"] == "reviews.default"
    assert (workload["mode"], workload["decidedBy"], workload["certificate"]) == ("PERMISSIVE", "", True)

    pilot.apply("config/policy.yaml", POLICY.replace("MODE", "STRICT"))
    await until(pilot, server, client, {"tls"}, "tls")
    (row,) = await pilot.get("/debug/mtlsz")
    (workload,) = row["workloads"]
    assert (workload["mode"], workload["decidedBy"]) == ("STRICT", "PeerAuthentication default/reviews")


async def test_the_page_leaves_gateways_out(pilot: Any) -> None:
    """Their servers say what they take: STRICT means nothing to them, and was said to be not safe."""
    await pilot.until(lambda: pilot.get("/debug/mtlsz"))
    async with sidecar(pilot.xds, "reviews", "10.0.0.9", role="router"):

        async def gone() -> bool:
            return not await pilot.get("/debug/mtlsz")

        await pilot.until(gone)
