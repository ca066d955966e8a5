"""Listeners: which chain is served, and what cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from envoy.extensions.filters.http.basic_auth.v3 import basic_auth_pb2  # noqa: F401  # registers the type for json_format
from envoy.extensions.filters.http.lua.v3 import lua_pb2  # noqa: F401  # registers the type for json_format
from google.protobuf.json_format import ParseDict

from mizzen.proxy.engine.plan import AccessLogPlan, HttpPlan, TcpPlan
from mizzen.proxy.snapshot import compile_resource
from mizzen.proxy.snapshot.result import Compiled

Make = dict[str, Callable[..., Any]]
TCP = {
    "filters": [
        {
            "name": "tcp",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": "t",
                "cluster": "passthrough",
            },
        }
    ]
}
ROUTER = {
    "name": "router",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
}
LUA = "envoy.extensions.filters.http.lua.v3.Lua"
LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"

EVERY = {"status_code_filter": {"comparison": {"op": "GE", "value": {"default_value": 100, "runtime_key": "k"}}}}
REASONS: dict[str, Any] = {
    "mappers": [
        {"filter": EVERY, "headers_to_add": [{"header": {"key": "x-mesh-reason", "value": "%RESPONSE_FLAGS%"}}]}
    ]
}


def handler(message: Any) -> HttpPlan | TcpPlan:
    outcome = compile_resource(message)
    assert isinstance(outcome, Compiled), str(outcome)
    return outcome.plan.handler


def test_http_is_served_and_the_tcp_fallback_behind_it_needs_no_word(make: Make) -> None:
    message = make["listener"](
        "l", server_name="istio-envoy", via="1.1 a", use_remote_address=True, stream_idle_timeout="0s"
    )
    ParseDict({"default_filter_chain": TCP}, message)
    outcome = compile_resource(message)
    assert isinstance(outcome, Compiled)
    assert outcome.unsupported == ()
    http = outcome.plan.handler
    assert isinstance(http, HttpPlan)
    assert (http.route_table, http.server_name, http.use_remote_address) == ("routes", "istio-envoy", True)
    assert http.via == "1.1 a"
    assert (http.stream_idle_timeout, http.idle_timeout, http.headers_timeout) == (0.0, 3600.0, 10.0)


def test_tcp_alone_is_served(make: Make) -> None:
    message = make["listener"]("l")
    del message.filter_chains[:]
    ParseDict({"filter_chains": [TCP]}, message)
    tcp = handler(message)
    assert isinstance(tcp, TcpPlan)
    assert tcp.clusters[0].cluster == "passthrough"


def test_access_logs_keep_their_format_and_json_is_sorted(make: Make) -> None:
    text = {"path": "/dev/stdout", "log_format": {"text_format_source": {"inline_string": "%RESPONSE_CODE%\n"}}}
    json = {"path": "/x", "log_format": {"json_format": {"b": "%DURATION%", "a": "%PROTOCOL%"}}}
    http = handler(
        make["listener"]("l", access_log=[{"name": "f", "typed_config": {"@type": LOG} | log} for log in (text, json)])
    )
    assert http.access_logs == (
        AccessLogPlan("/dev/stdout", "%RESPONSE_CODE%\n"),
        AccessLogPlan("/x", "", (("a", "%PROTOCOL%"), ("b", "%DURATION%"))),
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"address": {"pipe": {"path": "/s"}}}, "address.pipe: only IP addresses"),
    ],
)
def test_what_cannot_be_served_is_rejected_by_field(make: Make, change: dict[str, Any], complaint: str) -> None:
    message = make["listener"]("l")
    ParseDict(change, message)
    assert str(compile_resource(message)).startswith(f"Listener l: {complaint}")


def test_a_bad_log_format_names_the_operator(make: Make) -> None:
    log = {"@type": LOG, "path": "/x", "log_format": {"text_format_source": {"inline_string": "%NOPE%"}}}
    rejected = str(compile_resource(make["listener"]("l", access_log=[{"name": "f", "typed_config": log}])))
    assert "filter_chains[0].filters[0].typed_config.access_log[0].log_format" in rejected
    assert "NOPE" in rejected


def test_a_listener_for_tls_alone_is_rejected(make: Make) -> None:
    message = make["listener"]("l")
    message.filter_chains[0].transport_socket.name = "tls"
    assert (
        str(compile_resource(message))
        == "Listener l: filter_chains: no chain can be served: transport_socket.typed_config: "
        "expected envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext, got nothing"
    )


def test_a_listener_is_not_opened_without_its_guard(make: Make) -> None:
    guard = {"@type": "type.googleapis.com/envoy.extensions.filters.http.basic_auth.v3.BasicAuth"}
    message = make["listener"]("l", http_filters=[{"name": "rbac", "typed_config": guard}, ROUTER])
    assert "http_filters[0]: envoy.extensions.filters.http.basic_auth.v3.BasicAuth is not supported" in str(
        compile_resource(message)
    )


@pytest.mark.parametrize(
    ("upgrades", "reported"),
    [([], []), (["websocket"], []), (["WebSocket"], []), (["websocket", "CONNECT"], ["upgrade_configs"])],
)
def test_an_upgrade_is_reported_unless_it_is_the_one_that_everybody_gets(
    make: Make, upgrades: list[str], reported: list[str]
) -> None:
    message = make["listener"]("l", upgrade_configs=[{"upgrade_type": name} for name in upgrades])
    outcome = compile_resource(message)
    assert isinstance(outcome, Compiled)
    assert [item.field.rpartition(".")[2] for item in outcome.unsupported] == reported


def test_a_filter_that_would_change_requests_is_reported(make: Make) -> None:
    lua = {"name": "lua", "typed_config": {"@type": f"type.googleapis.com/{LUA}"}}
    outcome = compile_resource(make["listener"]("l", http_filters=[lua, ROUTER]))
    assert isinstance(outcome, Compiled)
    assert [item.field for item in outcome.unsupported] == [LUA]


def test_reasons_are_told_where_local_replies_get_the_header(make: Make) -> None:
    http = handler(make["listener"]("l", local_reply_config=REASONS))
    assert isinstance(http, HttpPlan)
    assert http.tells_reasons


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"mappers": [{**REASONS["mappers"][0], "status_code": 200}]}, True),
        ({**REASONS, "body_format": {"text_format_source": {"inline_string": "no"}}}, True),
        ({"mappers": [{**REASONS["mappers"][0], "filter": {"not_health_check_filter": {}}}]}, True),
        ({"mappers": [{**REASONS["mappers"][0], "headers_to_add": [{"header": {"key": "x-other"}}]}]}, False),
        ({"mappers": [*REASONS["mappers"], *REASONS["mappers"]]}, True),
    ],
)
def test_other_ways_to_change_local_replies_are_said_to_have_no_effect(
    make: Make, config: dict[str, Any], told: bool
) -> None:
    outcome = compile_resource(make["listener"]("l", local_reply_config=config))
    assert isinstance(outcome, Compiled)
    assert [found.field.rpartition(".")[2] for found in outcome.unsupported] == ["local_reply_config"]
    assert outcome.plan.handler.tells_reasons == told
