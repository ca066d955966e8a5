"""A whole Pilot: files in, xDS and debug pages out."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from envoy.config.core.v3 import base_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.protobuf import struct_pb2

from mizzen.pilot.app import pusher, world
from mizzen.pilot.generate import clusters
from mizzen.pilot.generate.typeurls import CLUSTER, ENDPOINT, LISTENER, ROUTE
from mizzen.runtime.address import Address

CLUSTER_NAME = "outbound|9080||reviews.default.svc.cluster.local"
SERVICE = (Path(__file__).parent / "service.yaml").read_text()
SLICE = (Path(__file__).parent / "slice.yaml").read_text()
ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec: {hosts: [reviews], http: [{rewrite: {uri: URI}, route: [{destination: {host: reviews}}]}]}
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}}
"""


class DeltaClient:
    """Watches as Envoy does: all clusters and listeners, some endpoints and routes; accepts everything."""

    def __init__(self, call: Any, number: int) -> None:
        self._call = call
        self._node = base_pb2.Node(id=f"sidecar~10.9.0.{number}~client-{number}.default~default.svc.cluster.local")
        self._node.metadata.CopyFrom(struct_pb2.Struct())
        self._node.metadata.update({"INTERCEPTION_MODE": "NONE", "HTTP_PROXY_PORT": "15007"})

    async def watch(self, type_url: str, *names: str, has: dict[str, str] | None = None) -> None:
        request = discovery_pb2.DeltaDiscoveryRequest(
            node=self._node, type_url=type_url, resource_names_subscribe=names, initial_resource_versions=has or {}
        )
        await self._call.write(request)

    async def next(self, *, accept: bool = True) -> discovery_pb2.DeltaDiscoveryResponse:
        """The next response, accepted."""
        async with asyncio.timeout(20):
            response = await self._call.read()
        if accept:
            await self.accept(response)
        return response

    async def accept(self, response: discovery_pb2.DeltaDiscoveryResponse) -> None:
        ack = discovery_pb2.DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
        await self._call.write(ack)


@contextlib.asynccontextmanager
async def connect(address: Address, number: int = 1) -> AsyncIterator[DeltaClient]:
    async with grpc.aio.insecure_channel(str(address)) as channel:
        call = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel).DeltaAggregatedResources()
        try:
            yield DeltaClient(call, number)
        finally:
            call.cancel()


def addresses(response: discovery_pb2.DeltaDiscoveryResponse) -> dict[str, list[str]]:
    """Addresses by cluster in a response of endpoints."""
    found = {}
    for resource in response.resources:
        load = endpoint_pb2.ClusterLoadAssignment()
        assert resource.resource.Unpack(load)
        found[resource.name] = [
            endpoint.endpoint.address.socket_address.address
            for locality in load.endpoints
            for endpoint in locality.lb_endpoints
        ]
    return found


def apply_reviews(pilot: Any, address: str = "10.0.0.1") -> None:
    pilot.apply("config/reviews.yaml", SERVICE.replace("NAME", "reviews"))
    pilot.apply("registry/reviews.yaml", SLICE.replace("ADDRESS", address))


async def test_changes_reach_the_clients_they_concern(pilot: Any) -> None:
    apply_reviews(pilot)
    await pilot.until(lambda: pilot.get("/debug/endpointz"))
    async with connect(pilot.xds) as client:
        await client.watch(CLUSTER)
        assert CLUSTER_NAME in {resource.name for resource in (await client.next()).resources}
        await client.watch(ENDPOINT, CLUSTER_NAME)
        assert addresses(await client.next()) == {CLUSTER_NAME: ["10.0.0.1"]}
        await client.watch(LISTENER)
        assert "127.0.0.1_15007" in {resource.name for resource in (await client.next()).resources}
        await client.watch(ROUTE, "http_proxy")
        before = (await client.next()).resources[0]
        await pilot.synced(1, "cds", "eds", "lds", "rds")

        apply_reviews(pilot, "10.0.0.2")
        response = await client.next()
        assert (response.type_url, addresses(response)) == (ENDPOINT, {CLUSTER_NAME: ["10.0.0.2"]})

        pilot.apply("config/routes.yaml", ROUTES.replace("URI", "/v1"))
        response = await client.next()
        [resource] = response.resources
        assert (response.type_url, resource.name) == (ROUTE, "http_proxy")
        assert resource.version != before.version

        pilot.delete("config/routes.yaml")
        [resource] = (await client.next()).resources
        assert resource.version == before.version

        async def converged() -> Any:
            metrics = await pilot.metrics()
            return metrics if metrics["pilot_proxy_convergence_time_count"] >= 3 else None

        assert (await pilot.until(converged))['pilot_xds_pushes{type="rds"}'] == 3


async def test_bad_yaml_is_reported_and_changes_nothing(pilot: Any) -> None:
    apply_reviews(pilot)
    pilot.apply("config/routes.yaml", ROUTES.replace("URI", "/v1"))
    await pilot.until(lambda: pilot.get("/debug/endpointz"))
    async with connect(pilot.xds) as client:
        await client.watch(ROUTE, "http_proxy")
        version = (await client.next()).resources[0].version
        pilot.apply("config/routes.yaml", ROUTES.replace("URI", "/v2").replace("hosts:", "nonsense: 1, hosts:"))

        async def problems() -> Any:
            return (await pilot.get("/debug/configz"))["problems"]

        [problem] = await pilot.until(problems)
        assert (problem["resource"], problem["severity"]) == ("VirtualService default/reviews", "error")
        assert problem["source"]["file"].endswith("config/routes.yaml")
        # A good change after the bad one comes through, and carries the last good routes with it.
        pilot.apply("config/ratings.yaml", SERVICE.replace("NAME", "ratings"))
        [resource] = (await client.next()).resources
        assert resource.version != version
        dump = await pilot.get("/debug/config_dump?proxyID=client-1.default")
        assert '"/v1"' in json.dumps(dump["rds"])
        assert '"/v2"' not in json.dumps(dump["rds"])


async def test_after_a_restart_a_client_gets_only_what_differs(pilot: Any) -> None:
    apply_reviews(pilot)
    await pilot.until(lambda: pilot.get("/debug/endpointz"))
    async with connect(pilot.xds) as client:
        await client.watch(CLUSTER)
        clusters = {resource.name: resource.version for resource in (await client.next()).resources}
        await client.watch(ENDPOINT, CLUSTER_NAME)
        endpoints = {resource.name: resource.version for resource in (await client.next()).resources}
    await pilot.stop()
    apply_reviews(pilot, "10.0.0.9")
    pilot.apply("config/ratings.yaml", SERVICE.replace("NAME", "ratings"))
    await pilot.start()
    async with connect(pilot.xds) as client:
        await client.watch(CLUSTER, has={**clusters, "outbound|1||gone": "x"})
        response = await client.next()
        assert [r.name for r in response.resources] == ["outbound|9080||ratings.default.svc.cluster.local"]
        await client.watch(ENDPOINT, CLUSTER_NAME, has=endpoints)
        assert addresses(await client.next()) == {CLUSTER_NAME: ["10.0.0.9"]}
        await client.watch(LISTENER)
        assert (await client.next()).type_url == LISTENER
        assert list((await client.next()).removed_resources) == ["outbound|1||gone"]


async def test_debug_pages(pilot: Any) -> None:
    apply_reviews(pilot)
    await pilot.until(lambda: pilot.get("/debug/endpointz"))
    [service] = await pilot.get("/debug/registryz")
    assert (service["hostname"], service["origin"]) == ("reviews.default.svc.cluster.local", "Service default/reviews")
    [entry] = await pilot.get("/debug/endpointz")
    assert [(e["address"], e["port"], e["healthy"]) for e in entry["endpoints"]] == [("10.0.0.1", 9080, True)]
    kinds = [resource["kind"] for resource in (await pilot.get("/debug/configz"))["resources"]]
    assert kinds == ["EndpointSlice", "Service"]
    assert await pilot.get("/debug/config_dump?proxyID=nobody") == {
        "error": "no client 'nobody' is connected",
        "connected": [],
    }
    async with connect(pilot.xds) as client:
        await client.watch(LISTENER)
        await client.next()
        dump = await pilot.get("/debug/config_dump?proxyID=client-1.default")
        assert CLUSTER_NAME in [cluster["name"] for cluster in dump["cds"]]
        [row] = await pilot.synced(1, "lds")
        assert row["types"]["cds"] == {"status": "IGNORED"}
        answer = await pilot.get("/debug/adsz?push=true")
        assert (answer["connected"], answer["pushed"]) == (1, 1)
        assert answer["clients"][0]["watches"] == {"lds": ["*"]}


@pytest.fixture
def taken() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("flag", ["--xds-address", "--monitoring-address"])
def test_a_taken_port_ends_the_process_with_a_sentence(taken: str, flag: str, tmp_path: Path) -> None:
    flags = {"--xds-address": "127.0.0.1:0", "--monitoring-address": "127.0.0.1:0", flag: taken}
    done = subprocess.run(
        [sys.executable, "-m", "mizzen.pilot", *(word for pair in flags.items() for word in pair)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 1
    assert f"{taken} is taken by another process" in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_process_is_ready_and_ends_on_a_signal(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mizzen.pilot", "--xds-address", "127.0.0.1:0", "--log-format", "json"),
        *("--monitoring-address", "127.0.0.1:0"),
        cwd=tmp_path,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(40):
            assert process.stderr is not None
            message = json.loads(await process.stderr.readline())["msg"]
            address = message.rpartition(" on ")[2]
            async with aiohttp.ClientSession() as session, session.get(f"http://{address}/ready") as response:
                assert (response.status, await response.text()) == (200, "ready\n")
            os.kill(process.pid, signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_what_cannot_be_generated_is_on_the_debug_pages(pilot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    apply_reviews(pilot)
    await pilot.until(lambda: pilot.get("/debug/endpointz"))
    async with connect(pilot.xds) as client:
        await client.watch(CLUSTER)
        assert CLUSTER_NAME in {resource.name for resource in (await client.next()).resources}
        monkeypatch.setattr(clusters, "_describe", None)
        pilot.apply("config/ratings.yaml", SERVICE.replace("NAME", "ratings"))
        pilot.apply("config/rule.yaml", RULE)

        async def failures() -> Any:
            [row] = await pilot.get("/debug/syncz")
            return row["types"]["cds"].get("failures")

        found = await pilot.until(failures)
        assert found[CLUSTER_NAME].startswith("Service default/reviews, DestinationRule default/reviews: TypeError")
        dump = await pilot.get("/debug/config_dump?proxyID=client-1.default")
        assert dump["failures"]["cds"][CLUSTER_NAME] == found[CLUSTER_NAME]
        monkeypatch.undo()
        pilot.delete("config/rule.yaml")
        response = await client.next()
        assert [resource.name for resource in response.resources] == [CLUSTER_NAME.replace("reviews", "ratings")]
        assert not response.removed_resources


async def test_pilot_answers_while_it_builds(pilot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    apply_reviews(pilot)
    await pilot.until(lambda: pilot.get("/debug/endpointz"))
    entered, proceed = asyncio.Event(), threading.Event()
    loop, real = asyncio.get_running_loop(), world.build

    def slow(*args: Any) -> Any:
        loop.call_soon_threadsafe(entered.set)
        assert proceed.wait(20)
        return real(*args)

    monkeypatch.setattr(world, "build", slow)
    pilot.apply("config/ratings.yaml", SERVICE.replace("NAME", "ratings"))
    async with asyncio.timeout(10):
        await entered.wait()
    async with connect(pilot.xds) as client:
        await client.watch(CLUSTER)
        before = {resource.name for resource in (await client.next()).resources}
        assert CLUSTER_NAME in before
        assert CLUSTER_NAME.replace("reviews", "ratings") not in before
        proceed.set()
        [resource] = (await client.next()).resources
        assert resource.name == CLUSTER_NAME.replace("reviews", "ratings")


async def test_a_workload_can_stop_when_every_client_knows(pilot: Any) -> None:
    apply_reviews(pilot)
    await pilot.until(lambda: pilot.get("/debug/endpointz"))

    async def state() -> Any:
        found = await pilot.get("/debug/drainz?address=10.0.0.1")
        return found["known"], found["behind"]

    async def is_free() -> bool:
        return await state() == (False, [])

    async with connect(pilot.xds) as client:
        await client.watch(CLUSTER)
        await client.next()
        await client.watch(ENDPOINT, CLUSTER_NAME)
        await client.next()
        await pilot.synced(1, "cds", "eds")
        assert (await state())[0] is True
        apply_reviews(pilot, "10.0.0.2")
        response = await client.next(accept=False)
        assert addresses(response) == {CLUSTER_NAME: ["10.0.0.2"]}
        assert await state() == (False, ["client-1.default"])
        await client.accept(response)
        await pilot.until(is_free)
    assert "error" in await pilot.get("/debug/drainz")


async def test_a_client_that_comes_while_pushes_are_made_hears_of_the_change(
    pilot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply_reviews(pilot)
    await pilot.until(lambda: pilot.get("/debug/endpointz"))
    entered, proceed = asyncio.Event(), threading.Event()
    loop, real = asyncio.get_running_loop(), pusher.affected

    def slow(*args: Any) -> Any:
        loop.call_soon_threadsafe(entered.set)
        assert proceed.wait(20)
        return real(*args)

    monkeypatch.setattr(pusher, "affected", slow)
    async with connect(pilot.xds) as first:
        await first.watch(CLUSTER)
        await first.next()
        apply_reviews(pilot, "10.0.0.2")
        async with asyncio.timeout(10):
            await entered.wait()
        async with connect(pilot.xds, 2) as second:
            await second.watch(ENDPOINT, CLUSTER_NAME)
            await pilot.until_connected(2)
            proceed.set()
            while addresses(await second.next()) != {CLUSTER_NAME: ["10.0.0.2"]}:
                pass  # it may hear of the old ones first
