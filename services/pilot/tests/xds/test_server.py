"""The gRPC shell, with a real client on a real port."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_pb2
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.protobuf import any_pb2, struct_pb2
from google.rpc import status_pb2 as rpc_status
from prometheus_client import CollectorRegistry

from mizzen.pilot.generate.encoded import Encoded, encode
from mizzen.pilot.generate.harvest import Generated
from mizzen.pilot.generate.typeurls import CLUSTER, ENDPOINT, LISTENER, ROUTE
from mizzen.pilot.push.queue import Push
from mizzen.pilot.snapshot.proxy import Proxy
from mizzen.pilot.xds import subscription
from mizzen.pilot.xds.connections import Connections
from mizzen.pilot.xds.history import sync_status
from mizzen.pilot.xds.metrics import ServingMetrics
from mizzen.pilot.xds.server import DiscoveryServer
from mizzen.pilot.xds.wire import PROXY_STATUS
from mizzen.pilot.xds.workshop import Workshop
from mizzen.proto import status_pb2
from mizzen.runtime.address import Address
from mizzen.runtime.errors import StartError

NODE = base_pb2.Node(
    id="sidecar~10.0.0.1~reviews-v1.default~default.svc.cluster.local",
    user_agent_name="envoy",
    user_agent_version="1.40",
)


def route(name: str, *hosts: str) -> Encoded:
    virtual_hosts = [{"name": host, "domains": [host]} for host in hosts]
    return encode(name, route_pb2.RouteConfiguration(name=name, virtual_hosts=virtual_hosts))


class Routes:
    """A source of nothing but routes."""

    def __init__(self) -> None:
        self.version = "1"
        self.known = {name: route(name, "first") for name in ("80", "9080")}

    def resources(self, type_url: str, names: frozenset[str] | None) -> Generated:
        if type_url != ROUTE:
            return Generated()
        return Generated({name: self.known[name] for name in sorted(self.known) if names is None or name in names})

    def stand_in(self, name: str) -> Encoded:
        return encode(name, cluster_pb2.Cluster(name=name))


class Served:
    """A server on a free port, and channels to it."""

    def __init__(self) -> None:
        self.routes = Routes()
        self.connections = Connections()
        self.registry = CollectorRegistry()
        self.workshop = Workshop()
        self.server = DiscoveryServer(self._source, self.connections, ServingMetrics(self.registry), self.workshop)
        self.proxies: list[Proxy] = []

    def _source(self, proxy: Proxy) -> Routes:
        self.proxies.append(proxy)
        return self.routes

    @contextlib.asynccontextmanager
    async def stream(self, *, delta: bool) -> AsyncIterator[Any]:
        async with grpc.aio.insecure_channel(str(self.server.address)) as channel:
            stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel)
            call = stub.DeltaAggregatedResources() if delta else stub.StreamAggregatedResources()
            try:
                yield call
            finally:
                call.cancel()

    def push_all(self) -> None:
        self.routes.version += "1"
        for connection in self.connections:
            self.connections.push(connection, Push(0.0, frozenset({ROUTE})))

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def status(self) -> list[dict[str, Any]]:
        return sync_status(self.connections, asyncio.get_running_loop().time())

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0.005)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    await served.server.start(Address("127.0.0.1", 0))
    yield served
    await served.server.close()
    served.workshop.close()


def ask(type_url: str = ROUTE, *names: str, **fields: Any) -> discovery_pb2.DiscoveryRequest:
    return discovery_pb2.DiscoveryRequest(node=NODE, type_url=type_url, resource_names=names, **fields)


async def test_state_of_the_world_over_the_wire(served: Served) -> None:
    async with served.stream(delta=False) as call:
        await call.write(ask(ROUTE, "80", "9080"))
        response = await call.read()
        assert (response.version_info, response.type_url) == ("1", ROUTE)
        assert response.control_plane.identifier == "mizzen-pilot"
        received = [route_pb2.RouteConfiguration.FromString(item.value) for item in response.resources]
        assert [item.name for item in received] == ["80", "9080"]
        await call.write(ask(ROUTE, "80", "9080", response_nonce=response.nonce))
        served.routes.known["80"] = route("80", "second")
        await served.until(lambda: served.status()[0]["types"]["rds"]["status"] == "SYNCED")
        served.push_all()
        response = await call.read()
        assert [route_pb2.RouteConfiguration.FromString(i.value).name for i in response.resources] == ["80"]


async def test_delta_over_the_wire(served: Served) -> None:
    async with served.stream(delta=True) as call:
        request = discovery_pb2.DeltaDiscoveryRequest(
            node=NODE, type_url=ROUTE, resource_names_subscribe=["80", "9080", "x" * 300]
        )
        request.initial_resource_versions["9080"] = served.routes.known["9080"].version
        await call.write(request)
        response = await call.read()
        [resource] = response.resources
        assert (resource.name, resource.version) == ("80", served.routes.known["80"].version)
        assert resource.resource.type_url == ROUTE
        assert list(response.removed_resources) == ["x" * 300]
        assert response.system_version_info == "1"


async def test_a_client_cannot_watch_without_end(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription, "MAX_CHARACTERS", 1000)

    async def watch(call: Any, first: str) -> None:
        name = first + "x" * 240
        await call.write(
            discovery_pb2.DeltaDiscoveryRequest(node=NODE, type_url=ROUTE, resource_names_subscribe=[name])
        )
        assert list((await call.read()).removed_resources) == [name]

    async with served.stream(delta=True) as call, served.stream(delta=True) as other:
        await watch(other, "a")
        for first in "abcd":
            await watch(call, first)
        with pytest.raises(grpc.aio.AioRpcError, match="RESOURCE_EXHAUSTED"):
            await watch(call, "e")
        await watch(other, "b")


async def test_status_of_clients(served: Served) -> None:
    async with served.stream(delta=False) as call:
        await call.write(ask(ROUTE, "80"))
        response = await call.read()
        [row] = served.status()
        assert (row["proxy"], row["proxy_type"], row["protocol"]) == ("reviews-v1.default", "sidecar", "sotw")
        assert (row["version"], row["address"].startswith("ipv4:127.0.0.1:")) == ("envoy/1.40", True)
        assert (row["types"]["rds"]["status"], row["types"]["cds"]["status"]) == ("STALE", "IGNORED")
        assert served.metric("pilot_xds", version="envoy/1.40") == 1
        error = rpc_status.Status(code=3, message="unknown cluster")
        await call.write(ask(ROUTE, "80", response_nonce=response.nonce, error_detail=error))
        await served.until(lambda: served.status()[0]["types"]["rds"]["status"] == "ERROR")
        assert served.status()[0]["types"]["rds"]["error"] == "unknown cluster"
        assert served.metric("pilot_total_xds_rejects", type="rds") == 1
        assert served.metric("pilot_xds_pushes", type="rds") == 1
    await served.until(lambda: len(served.connections) == 0)
    assert served.metric("pilot_xds", version="envoy/1.40") is None


async def test_metrics_do_not_grow_with_what_clients_say(served: Served) -> None:
    long = base_pb2.Node(id=NODE.id, user_agent_name="x" * 10_000)
    async with served.stream(delta=False) as call, served.stream(delta=False) as other:
        for each in (call, other):
            await each.write(discovery_pb2.DiscoveryRequest(node=long, type_url=ROUTE, resource_names=["80"]))
            await each.read()
        assert served.metric("pilot_xds", version="x" * 100) == 2
    await served.until(lambda: len(served.connections) == 0)
    assert served.metric("pilot_xds", version="x" * 100) is None


async def test_what_a_proxy_does_not_enforce_is_recorded(served: Served) -> None:
    detail = any_pb2.Any()
    detail.Pack(
        status_pb2.ProxyStatus(
            unsupported=[{"field": "RouteAction.cors", "origin": "VirtualService default/reviews", "count": 2}]
        )
    )
    async with served.stream(delta=False) as call:
        await call.write(ask(ROUTE, "80"))
        await call.write(ask(PROXY_STATUS, error_detail=rpc_status.Status(details=[any_pb2.Any(type_url="x/y")])))
        await call.write(ask(PROXY_STATUS, error_detail=rpc_status.Status(details=[detail])))
        await call.write(ask("type.googleapis.com/unknown.Type"))
        await served.until(lambda: served.status() and served.status()[0]["unsupported"])
        assert served.status()[0]["unsupported"] == [
            {"field": "RouteAction.cors", "origin": "VirtualService default/reviews", "count": 2}
        ]
        assert (await call.read()).type_url == ROUTE, "neither of them ended the stream"


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (base_pb2.Node(), "must carry node.id"),
        (base_pb2.Node(id="sidecar~10.0.0.1"), "must be <type>~<ip>"),
        (base_pb2.Node(id="sidecar~home~a.b~c"), "not an IP address"),
        (base_pb2.Node(id="ztunnel~10.0.0.1~a.b~c"), "not sidecar or router"),
    ],
)
@pytest.mark.parametrize("delta", [False, True])
async def test_a_node_that_says_too_little_is_told_so(
    served: Served, node: base_pb2.Node, words: str, delta: bool
) -> None:
    async with served.stream(delta=delta) as call:
        kind = discovery_pb2.DeltaDiscoveryRequest if delta else discovery_pb2.DiscoveryRequest
        await call.write(kind(node=node, type_url=CLUSTER))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert words in caught.value.details()
    assert len(served.connections) == 0


async def test_metadata_and_locality_reach_the_proxy(served: Served) -> None:
    node = base_pb2.Node(id=NODE.id, locality=base_pb2.Locality(region="eu", zone="1"), metadata=struct_pb2.Struct())
    node.metadata.update({"LABELS": {"app": "reviews"}, "NAMESPACE": "prod", "ISTIO_VERSION": "1.29.0"})
    async with served.stream(delta=False) as call:
        await call.write(discovery_pb2.DiscoveryRequest(node=node, type_url=LISTENER))
        await call.read()
        proxy = served.proxies[0]
        assert (proxy.namespace, proxy.locality, dict(proxy.labels)) == ("prod", "eu/1", {"app": "reviews"})
        assert served.status()[0]["version"] == "1.29.0"


async def test_a_client_that_does_not_read_delays_no_other(served: Served) -> None:
    async with served.stream(delta=False) as slow, served.stream(delta=False) as quick:
        await slow.write(ask(ROUTE, "80"))
        await served.until(lambda: len(served.connections) == 1)
        await quick.write(ask(ROUTE, "80"))
        nonce = (await quick.read()).nonce
        for number in range(30):
            await quick.write(ask(ROUTE, "80", response_nonce=nonce))
            served.routes.known["80"] = route("80", *(f"{number}-{i}.example.com" for i in range(4000)))
            served.push_all()
            nonce = (await quick.read()).nonce
        by_id = {row["id"]: row["types"]["rds"] for row in served.status()}
        assert len(by_id) == 2
        assert served.metric("pilot_xds_pushes", type="rds") < 60, "the slow client's pushes were merged"
        # It reads at last: the end of what it finds is the newest state.
        last = None
        async with asyncio.timeout(20):
            while last is None or "29-0.example.com" not in str(last.resources[0].value[:200]):
                last = await slow.read()


async def test_a_client_that_half_closes_ends_its_stream(served: Served) -> None:
    async with served.stream(delta=False) as call:
        await call.write(ask(ENDPOINT, "a"))
        await call.done_writing()
        assert (await call.read()).type_url == ENDPOINT
        assert await call.read() is grpc.aio.EOF
    await served.until(lambda: len(served.connections) == 0)


async def test_a_taken_port_is_named(served: Served) -> None:
    with pytest.raises(StartError, match=f"{served.server.address} is taken"):
        await Served().server.start(served.server.address)


async def test_generating_does_not_stop_the_event_loop(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, proceed = asyncio.Event(), threading.Event()
    loop, real, threads = asyncio.get_running_loop(), served.routes.resources, set()

    def slow(type_url: str, names: frozenset[str] | None) -> Generated:
        threads.add(threading.current_thread().name)
        loop.call_soon_threadsafe(entered.set)
        assert proceed.wait(20)
        return real(type_url, names)

    monkeypatch.setattr(served.routes, "resources", slow)
    async with served.stream(delta=False) as call:
        await call.write(ask(ROUTE, "80"))
        async with asyncio.timeout(10):
            await entered.wait()
        assert served.status()[0]["types"]["rds"]["status"] == "NOT SENT"
        proceed.set()
        assert len((await call.read()).resources) == 1
        await call.write(ask(ROUTE, "9080", "80"))
        await call.read()
    assert threads == {"workshop_0"}, "one thread owns the sessions"


async def test_until_a_client_has_taken_its_push_it_is_answered_from_before(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, proceed = asyncio.Event(), threading.Event()
    loop, old, real = asyncio.get_running_loop(), served.routes, served.routes.resources

    def slow(type_url: str, names: frozenset[str] | None) -> Generated:
        loop.call_soon_threadsafe(entered.set)
        assert proceed.wait(20)
        return real(type_url, names)

    monkeypatch.setattr(old, "resources", slow)
    async with served.stream(delta=True) as call:
        await call.write(
            discovery_pb2.DeltaDiscoveryRequest(node=NODE, type_url=ROUTE, resource_names_subscribe=["80"])
        )
        async with asyncio.timeout(10):
            await entered.wait()
        [connection] = served.connections
        connection.wake.clear()
        await call.write(
            discovery_pb2.DeltaDiscoveryRequest(node=NODE, type_url=ROUTE, resource_names_subscribe=["9080"])
        )
        await served.until(connection.wake.is_set)  # the second request waits; now there is a new mesh, and a push
        served.routes = Routes()
        served.routes.version = "2"
        served.routes.known = {name: route(name, "second") for name in ("80", "9080")}
        served.connections.push(connection, Push(0.0, frozenset({ROUTE})))
        proceed.set()
        versions = [(await call.read()).system_version_info for _ in range(3)]
    assert versions == ["1", "1", "2"]
