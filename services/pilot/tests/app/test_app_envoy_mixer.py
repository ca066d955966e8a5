"""A stock Envoy with Mixer configured: it accepts everything, asks about requests, obeys, and reports."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from aiohttp import web
from envoy.service.accesslog.v3 import als_pb2
from envoy.service.auth.v3 import external_auth_pb2

from mizzen.runtime.address import unused_port

RICH = Path(__file__).parent.with_name("generate") / "rich.yaml"
DENIED = 7
MESH = """
mixerCheckServer: istio-policy.istio-system.svc.cluster.local:9091
mixerReportServer: istio-policy.istio-system.svc.cluster.local:9091
disablePolicyChecks: false
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: SPACE}
spec: {ports: [{port: NUMBER, name: PROTOCOL}], selector: {app: NAME}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: NAME-1, namespace: SPACE, labels: {kubernetes.io/service-name: NAME}}
addressType: IPv4
ports: [{name: PROTOCOL, port: TARGET}]
endpoints: [{addresses: [127.0.0.1], conditions: {ready: true}}]
"""
FRONT = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: PORT, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec: {hosts: ["*"], gateways: [front], http: [{route: [{destination: {host: web}}]}]}
"""


class Mixer:
    """Allows everything but paths that begin with /no, and keeps what it was asked and told."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[Any] = asyncio.Queue()
        self.told: asyncio.Queue[Any] = asyncio.Queue()
        self._server = grpc.aio.server()

    async def start(self) -> int:
        pb, log = external_auth_pb2, als_pb2
        check = grpc.unary_unary_rpc_method_handler(
            self._check, pb.CheckRequest.FromString, pb.CheckResponse.SerializeToString
        )
        report = grpc.stream_unary_rpc_method_handler(
            self._report, log.StreamAccessLogsMessage.FromString, log.StreamAccessLogsResponse.SerializeToString
        )
        for service, name, handler in (
            ("envoy.service.auth.v3.Authorization", "Check", check),
            ("envoy.service.accesslog.v3.AccessLogService", "StreamAccessLogs", report),
        ):
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {name: handler}),))
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return int(port)

    async def stop(self) -> None:
        await self._server.stop(0)

    async def _check(self, request: Any, context: Any) -> Any:
        self.asked.put_nowait(request)
        response = external_auth_pb2.CheckResponse()
        if request.attributes.request.http.path.startswith("/no"):
            response.status.code = DENIED
            response.denied_response.status.code = 403
            response.denied_response.body = "no"
        return response

    async def _report(self, messages: AsyncIterator[Any], context: Any) -> Any:
        async for message in messages:
            for entry in message.http_logs.log_entry:
                self.told.put_nowait(entry)
        return als_pb2.StreamAccessLogsResponse()


@pytest.fixture
async def mixer() -> AsyncIterator[Mixer]:
    stub = Mixer()
    yield stub
    await stub.stop()


@pytest.fixture
async def site(pilot: Any, tmp_path: Path) -> Any:
    """A Pilot that knows of Mixer."""
    await pilot.stop()
    (tmp_path / "mesh.yaml").write_text(MESH)
    await pilot.start()
    return pilot


def service(name: str, space: str, number: int, protocol: str, target: int) -> str:
    values = {"NAME": name, "SPACE": space, "NUMBER": str(number), "PROTOCOL": protocol, "TARGET": str(target)}
    text = SERVICE
    for key, value in values.items():
        text = text.replace(key, value)
    return text


async def test_a_sidecar_accepts_mixer_in_all_that_istios_api_can_say_even_before_mixer_exists(
    site: Any, envoy: Any, own_address: str
) -> None:
    site.apply("config/rich.yaml", RICH.read_text())
    await site.until(lambda: site.get("/debug/registryz"))
    await envoy.start(
        *(site.xds, "sidecar~127.0.0.1~client.default"),
        LABELS={"app": "client"},
        INTERCEPTION_MODE="NONE",
        HTTP_PROXY_PORT=str(unused_port()),
        BIND_ADDRESS=own_address,
        APP_ADDRESS="127.0.0.1",
    )
    [row] = await site.synced(1, "cds", "lds", "eds", "rds")
    assert row["types"]["lds"]["resources"] > 3
    assert not [name for name in await site.metrics() if name.startswith("pilot_total_xds_rejects")]


async def test_a_gateway_asks_obeys_and_reports(site: Any, envoy: Any, mixer: Mixer) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="yes")

    application = web.Application()
    application.router.add_get("/{any:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = unused_port()
    site.apply("registry/web.yaml", service("web", "default", 80, "http", runner.addresses[0][1]))
    site.apply("registry/mixer.yaml", service("istio-policy", "istio-system", 9091, "grpc-mixer", await mixer.start()))
    site.apply("config/front.yaml", FRONT.replace("PORT", str(port)))
    await envoy.start(
        *(site.xds, "router~127.0.0.1~front.default"), LABELS={"istio": "ingressgateway"}, BIND_ADDRESS="127.0.0.1"
    )
    await site.synced(1, "cds", "lds", "eds", "rds")
    try:
        async with aiohttp.ClientSession() as session:
            for path, status, text in (("/yes", 200, "yes"), ("/no", 403, "no")):
                async with session.get(f"http://127.0.0.1:{port}{path}", headers={"traceparent": "t"}) as response:
                    assert (response.status, await response.text()) == (status, text)
    finally:
        await runner.cleanup()
    async with asyncio.timeout(10):
        extensions = dict((await mixer.asked.get()).attributes.context_extensions)
        entry = await mixer.told.get()
    assert extensions["source.uid"] == "kubernetes://front.default"
    assert extensions["destination.service.host"] == "web.default.svc.cluster.local"
    assert entry.response.response_code.value == 200
    assert entry.common_properties.custom_tags["context.reporter.kind"] == "outbound"
    assert entry.request.request_headers["traceparent"] == "t"
