"""A real Envoy that asks Mixer about every request, and sends it its access log."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from aiohttp import web

from mizzen.mixer.adapter import QuotaResult
from mizzen.mixer.status import Code, Status
from mizzen.mixer.verdict import Allotment, HeaderAction, HeaderOperation, PolicyError, Verdict
from mizzen.runtime.address import Address, unused_port

START_SECONDS = 20
REPORT_SECONDS = 10
EXTENSIONS = {
    "context.reporter.kind": "inbound",
    "destination.service.host": "reviews.default.svc.cluster.local",
    "destination.port": "9080",
    "quota/requests": "1",
}
TYPES = "type.googleapis.com/envoy.extensions"


def find_envoy() -> Path:
    package = importlib.util.find_spec("envoy")
    assert package is not None
    assert package.submodule_search_locations is not None
    (binary,) = (path for f in package.submodule_search_locations if (path := Path(f) / "_bin" / "envoy").is_file())
    return binary


def cluster(name: str, address: Address, *, http2: bool = False) -> dict[str, Any]:
    endpoint = {"address": {"socket_address": {"address": address.host, "port_value": address.port}}}
    versions = {"explicit_http_config": {"http2_protocol_options" if http2 else "http_protocol_options": {}}}
    options = {"@type": f"{TYPES}.upstreams.http.v3.HttpProtocolOptions", **versions}
    return {
        "name": name,
        "connect_timeout": "2s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
    }


def bootstrap(listener: Address, upstream: Address, mixer: Address) -> dict[str, Any]:
    """Mizzen's Mixer before and after every request."""
    service = {"envoy_grpc": {"cluster_name": "mixer"}}
    authorize = {
        "@type": f"{TYPES}.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "grpc_service": service | {"timeout": "5s"},
        "status_on_error": {"code": 503},
    }
    access_log = {
        "@type": f"{TYPES}.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
        "common_config": {
            "log_name": "mixer",
            "transport_api_version": "V3",
            "grpc_service": service,
            "buffer_flush_interval": "0.05s",
            "custom_tags": [
                {"tag": "destination.service.host", "literal": {"value": EXTENSIONS["destination.service.host"]}}
            ],
        },
        "additional_request_headers_to_log": ["end-user"],
    }
    route = {"match": {"prefix": "/"}, "route": {"cluster": "inbound|9080||"}}
    per_route = {"@type": f"{TYPES}.filters.http.ext_authz.v3.ExtAuthzPerRoute"}
    route["typed_per_filter_config"] = {
        "envoy.filters.http.ext_authz": per_route | {"check_settings": {"context_extensions": EXTENSIONS}}
    }
    router = {"@type": f"{TYPES}.filters.http.router.v3.Router"}
    manager = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {"name": "envoy.filters.http.ext_authz", "typed_config": authorize},
            {"name": "envoy.filters.http.router", "typed_config": router},
        ],
        "access_log": [{"name": "mixer", "typed_config": access_log}],
    }
    return {
        "node": {"id": "sidecar~127.0.0.1~reviews-v1.default~default.svc.cluster.local", "cluster": "reviews"},
        "static_resources": {
            "listeners": [
                {
                    "name": "in",
                    "address": {"socket_address": {"address": listener.host, "port_value": listener.port}},
                    "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
                }
            ],
            "clusters": [cluster("inbound|9080||", upstream), cluster("mixer", mixer, http2=True)],
        },
    }


@pytest.fixture
async def upstream() -> AsyncIterator[Address]:
    """A service that answers with the headers it got."""

    async def echo(request: web.Request) -> web.Response:
        return web.json_response({name.lower(): request.headers.getall(name) for name in request.headers})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", echo)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield Address("127.0.0.1", runner.addresses[0][1])
    await runner.cleanup()


Ask = Callable[..., Awaitable[tuple[int, str, Any]]]


@pytest.fixture
async def ask(
    serve: Callable[..., Awaitable[grpc.aio.Channel]], upstream: Address, tmp_path: Path
) -> AsyncIterator[Ask]:
    """Sends a request through Envoy: status, body and headers of the answer."""
    mixer = (await serve()).server.address
    listener = Address("127.0.0.1", unused_port())
    config = tmp_path / "envoy.json"
    config.write_text(json.dumps(bootstrap(listener, upstream, mixer)))
    command = (str(find_envoy()), "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "-l", "error")
    process = await asyncio.create_subprocess_exec(*command)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:

        async def send(**headers: str) -> tuple[int, str, Any]:
            async with session.get(f"http://{listener}/reviews/0?a=b", headers=headers) as response:
                return response.status, await response.text(), response.headers

        try:
            await until_listening(listener, process)
            yield send
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def until_listening(listener: Address, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            assert process.returncode is None, "Envoy did not start"
            try:
                _, writer = await asyncio.open_connection(*listener)
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return


async def reported(policy: Any, number: int) -> list[Any]:
    """The entries of the access log, when there are so many."""
    async with asyncio.timeout(REPORT_SECONDS):
        while sum(map(len, policy.reports)) < number:
            policy.arrived.clear()
            await policy.arrived.wait()
    return [bag for bags in policy.reports for bag in bags]


async def test_allowed_denied_answered_and_exhausted(ask: Ask, policy: Any) -> None:
    policy.verdict = Verdict(
        request_headers=(
            HeaderOperation("x-user", "of-policy"),
            HeaderOperation("x-list", "second", HeaderAction.APPEND),
            HeaderOperation("x-new", "one", HeaderAction.APPEND),
            HeaderOperation("x-new", "two", HeaderAction.APPEND),
            HeaderOperation("cookie", action=HeaderAction.REMOVE),
        ),
        response_headers=(
            HeaderOperation("x-mesh", "mizzen"),
            HeaderOperation("x-more", "one", HeaderAction.APPEND),
        ),
        quotas={"requests": Allotment(QuotaResult(1))},
    )
    status, body, headers = await ask(**{"end-user": "jason", "x-user": "forged", "x-list": "first", "cookie": "a=b"})
    assert status == 200
    seen = json.loads(body)
    assert seen["x-user"] == ["of-policy"]
    assert ",".join(seen["x-list"]) == "first,second"
    assert ",".join(seen["x-new"]) == "one,two"
    assert "cookie" not in seen
    assert (headers["x-mesh"], headers["x-more"]) == ("mizzen", "one")

    policy.verdict = Verdict(Status(Code.PERMISSION_DENIED, "denyall.denier.istio-system:Not allowed"))
    status, body, _ = await ask()
    assert (status, body) == (403, "PERMISSION_DENIED:denyall.denier.istio-system:Not allowed")

    policy.verdict = Verdict(
        direct_response_code=418, direct_response_body="tea", response_headers=(HeaderOperation("x-pot", "small"),)
    )
    status, body, headers = await ask()
    assert (status, body, headers["x-pot"]) == (418, "tea", "small")

    policy.verdict = Verdict(quotas={"requests": Allotment(QuotaResult(0))})
    status, body, _ = await ask()
    assert (status, body) == (429, "RESOURCE_EXHAUSTED:Quota is exhausted for: requests")

    policy.error = PolicyError("no verdict")
    assert (await ask())[0] == 503
    policy.error = None

    check_what_was_asked(policy)
    entries = await reported(policy, 5)
    assert [bag.get("response.code") for bag in entries] == [200, 403, 418, 429, 503]
    check_what_was_reported(entries[0].values, entries[1].values)


def check_what_was_asked(policy: Any) -> None:
    bag, quotas, _ = policy.checked[0]
    expected = {
        "request.method": "GET",
        "request.path": "/reviews/0?a=b",
        "request.url_path": "/reviews/0",
        "request.query_params": {"a": "b"},
        "request.scheme": "http",
        "context.protocol": "http",
        "context.reporter.kind": "inbound",
        "destination.service.host": "reviews.default.svc.cluster.local",
        "destination.port": 9080,
        "connection.mtls": False,
    }
    assert {name: bag.get(name) for name in expected} == expected
    assert str(bag.get("source.ip")) == "127.0.0.1"
    assert bag.lookup("request.headers", "end-user") == "jason"
    assert bag.lookup("request.headers", ":path") == "/reviews/0?a=b"
    assert bag.get("request.time") is not None
    assert quotas["requests"].amount == 1


def check_what_was_reported(allowed: dict[str, Any], denied: dict[str, Any]) -> None:
    expected = {
        "context.reporter.kind": "inbound",
        "context.reporter.uid": "kubernetes://reviews-v1.default",
        "destination.uid": "kubernetes://reviews-v1.default",
        "destination.service.host": "reviews.default.svc.cluster.local",
        "context.protocol": "http",
        "request.method": "GET",
        "request.path": "/reviews/0?a=b",
        "context.proxy_error_code": "-",
    }
    assert {name: allowed.get(name) for name in expected} == expected
    assert allowed["request.headers"]["end-user"] == "jason"
    assert allowed["response.duration"].total_seconds() > 0
    assert allowed["response.size"] > 0
    assert denied["context.proxy_error_code"] == "UAEX"
    assert denied["check.error_code"] == 7
    assert denied["check.error_message"] == "PERMISSION_DENIED:denyall.denier.istio-system:Not allowed"
