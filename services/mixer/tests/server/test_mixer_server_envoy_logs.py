"""Envoy's access logs as attributes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any

import pytest
from envoy.data.accesslog.v3.accesslog_pb2 import HTTPAccessLogEntry, ResponseFlags, TCPAccessLogEntry
from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage
from google.protobuf.json_format import ParseDict
from prometheus_client import CollectorRegistry

from mizzen.mixer.server.calls import Calls
from mizzen.mixer.server.envoy.accesslog import MOST_CONNECTIONS, AccessLogs, Traffic
from mizzen.mixer.server.envoy.entries import _FLAGS, http_attributes, reporter_attributes, tcp_attributes
from mizzen.mixer.server.overload import Limits, Mode
from mizzen.mixer.verdict import PolicyError

NODE = "sidecar~10.0.0.2~reviews-v1.default~default.svc.cluster.local"
REPORTER = {"context.reporter.uid": "kubernetes://reviews-v1.default"}
START = datetime(2018, 7, 31, 12, tzinfo=UTC)


def address(text: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": text, "port_value": port}}


COMMON: dict[str, Any] = {
    "downstream_remote_address": address("10.0.0.1", 40_000),
    "downstream_local_address": address("10.0.0.2", 9080),
    "upstream_remote_address": address("127.0.0.1", 8080),
    "start_time": "2018-07-31T12:00:00Z",
    "duration": "0.250s",
    "tls_properties": {
        "tls_sni_hostname": "reviews",
        "peer_certificate_properties": {"subject_alt_name": [{"uri": "spiffe://cluster.local/ns/a/sa/b"}]},
        "local_certificate_properties": {
            "subject_alt_name": [{"dns": "x"}, {"uri": "spiffe://cluster.local/ns/c/sa/d"}]
        },
    },
}
EXCHANGE: dict[str, Any] = {
    "request": {
        "request_method": "POST",
        "scheme": "http",
        "authority": "reviews:9080",
        "path": "/reviews/0",
        "user_agent": "curl",
        "referer": "http://productpage/",
        "forwarded_for": "1.2.3.4",
        "request_id": "id-1",
        "request_headers_bytes": 100,
        "request_body_bytes": 20,
        "request_headers": {"end-user": "jason", "x-istio-attributes": "forged"},
    },
    "response": {
        "response_code": 503,
        "response_headers_bytes": 50,
        "response_body_bytes": 7,
        "response_headers": {"server": "envoy"},
        "response_trailers": {"grpc-status": "14", "grpc-message": "gone"},
    },
}


def http(common: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    entry = ParseDict({"common_properties": COMMON | (common or {}), **(EXCHANGE | fields)}, HTTPAccessLogEntry())
    return dict(http_attributes(entry, REPORTER))


def tcp(**common: Any) -> dict[str, Any]:
    connection = {"received_bytes": 10, "sent_bytes": 20}
    entry = ParseDict({"common_properties": COMMON | common, "connection_properties": connection}, TCPAccessLogEntry())
    return dict(tcp_attributes(entry, REPORTER))


def test_a_request_on_the_side_that_serves() -> None:
    attributes = http({"upstream_cluster": "inbound|9080||", "response_flags": {"upstream_connection_failure": True}})
    headers = attributes.pop("request.headers")
    assert headers == {
        ":method": "POST",
        ":scheme": "http",
        ":authority": "reviews:9080",
        ":path": "/reviews/0",
        "user-agent": "curl",
        "referer": "http://productpage/",
        "x-forwarded-for": "1.2.3.4",
        "x-request-id": "id-1",
        "end-user": "jason",
    }
    assert attributes == {
        "context.reporter.uid": "kubernetes://reviews-v1.default",
        "context.reporter.kind": "inbound",
        "context.protocol": "http",
        "context.proxy_error_code": "UF",
        "connection.mtls": True,
        "connection.requested_server_name": "reviews",
        "origin.ip": IPv4Address("10.0.0.1"),
        "source.ip": IPv4Address("10.0.0.1"),
        "source.port": 40_000,
        "source.principal": "cluster.local/ns/a/sa/b",
        "source.user": "cluster.local/ns/a/sa/b",
        "source.namespace": "a",
        "destination.ip": IPv4Address("10.0.0.2"),
        "destination.port": 9080,
        "destination.principal": "cluster.local/ns/c/sa/d",
        "destination.uid": "kubernetes://reviews-v1.default",
        "destination.namespace": "default",
        "request.id": "id-1",
        "request.time": START,
        "request.method": "POST",
        "request.scheme": "http",
        "request.host": "reviews:9080",
        "request.path": "/reviews/0",
        "request.url_path": "/reviews/0",
        "request.useragent": "curl",
        "request.referer": "http://productpage/",
        "request.size": 20,
        "request.total_size": 120,
        "response.time": START + timedelta(milliseconds=250),
        "response.duration": timedelta(milliseconds=250),
        "response.code": 503,
        "response.size": 7,
        "response.total_size": 57,
        "response.headers": {"server": "envoy", "grpc-status": "14", "grpc-message": "gone"},
        "response.grpc_status": "14",
        "response.grpc_message": "gone",
    }


def test_a_request_on_the_side_that_asks() -> None:
    attributes = http({"upstream_cluster": "outbound|9080|v1|ratings.books.svc.cluster.local"})
    expected = {
        "context.reporter.kind": "outbound",
        "source.uid": "kubernetes://reviews-v1.default",
        "destination.ip": IPv4Address("127.0.0.1"),
        "destination.port": 8080,
        "destination.service": "ratings.books.svc.cluster.local",
        "destination.service.host": "ratings.books.svc.cluster.local",
        "destination.service.name": "ratings",
        "destination.service.namespace": "books",
        "destination.service.uid": "istio://books/services/ratings",
        "context.proxy_error_code": "-",
    }
    assert {name: attributes.get(name) for name in expected} == expected
    assert "destination.uid" not in attributes


def test_a_host_outside_the_platform_has_no_name_there() -> None:
    attributes = http({"upstream_cluster": "outbound|443||api.example.com"})
    assert attributes["destination.service.host"] == "api.example.com"
    assert "destination.service.name" not in attributes


def test_custom_tags_state_attributes() -> None:
    attributes = http({"upstream_cluster": "other", "custom_tags": {"context.reporter.kind": "outbound", "x": "1"}})
    assert (attributes["context.reporter.kind"], attributes["x"]) == ("outbound", "1")


def test_an_entry_with_next_to_nothing() -> None:
    attributes = dict(http_attributes(HTTPAccessLogEntry(), {}))
    assert attributes["response.code"] == 500
    assert attributes["response.duration"] == timedelta()
    assert attributes["context.protocol"] == "http"
    assert "source.ip" not in attributes
    assert "request.method" not in attributes
    assert "response.grpc_status" not in attributes


def test_older_envoys_tell_the_duration_otherwise() -> None:
    entry = ParseDict({"common_properties": {"time_to_last_downstream_tx_byte": "0.5s"}}, HTTPAccessLogEntry())
    assert http_attributes(entry, {})["response.duration"] == timedelta(seconds=0.5)


def test_the_path_is_the_one_that_was_asked_for() -> None:
    assert http(request={"path": "/rewritten", "original_path": "/asked"})["request.path"] == "/asked"


def test_findings_of_filters() -> None:
    metadata = {
        "filter_metadata": {
            "envoy.filters.http.ext_authz": {"check.error_code": 7, "check.error_message": "PERMISSION_DENIED:no"},
            "envoy.filters.http.rbac": {"shadow_engine_result": "denied", "shadow_effective_policy_id": "p"},
            "envoy.filters.http.jwt_authn": {"payload": {"iss": "issuer", "sub": "subject"}},
        }
    }
    attributes = http({"metadata": metadata})
    assert (attributes["check.error_code"], attributes["check.error_message"]) == (7, "PERMISSION_DENIED:no")
    assert attributes["rbac.permissive.response_code"] == "denied"
    assert attributes["rbac.permissive.effective_policy_id"] == "p"
    assert attributes["request.auth.principal"] == "issuer/subject"


def test_every_response_flag_of_envoy_has_its_letters() -> None:
    assert _FLAGS.keys() == {field.name for field in ResponseFlags.DESCRIPTOR.fields}
    assert len(set(_FLAGS.values())) == len(_FLAGS)


def test_flags_are_joined() -> None:
    flags = {"upstream_connection_failure": True, "upstream_retry_limit_exceeded": True, "unauthorized_details": {}}
    assert http({"response_flags": flags})["context.proxy_error_code"] == "UF,UAEX,URX"


@pytest.mark.parametrize(
    ("kind", "event", "ended"),
    [
        ("NotSet", "close", True),
        ("TcpConnectionEnd", "close", True),
        ("TcpUpstreamConnected", "open", False),
        ("TcpPeriodic", "continue", False),
    ],
)
def test_a_connection(kind: str, event: str, *, ended: bool) -> None:
    attributes = tcp(upstream_cluster="inbound|9080||", stream_id="7", access_log_type=kind)
    expected = {
        "context.protocol": "tcp",
        "context.time": START + timedelta(milliseconds=250),
        "connection.event": event,
        "connection.id": "7",
        "connection.received.bytes_total": 10,
        "connection.sent.bytes_total": 20,
        "connection.mtls": True,
        "destination.uid": "kubernetes://reviews-v1.default",
    }
    assert {name: attributes.get(name) for name in expected} == expected
    assert ("connection.duration" in attributes) == ended


@pytest.mark.parametrize("node", ["", "envoy", "sidecar~1.2.3.4~~", "a~b~c"])
def test_nodes_of_others_are_not_named(node: str) -> None:
    assert reporter_attributes(node) == {}


def test_bytes_since_the_last_entry() -> None:
    traffic = Traffic()
    assert traffic.count("a", 10, 1, ended=False) == (10, 1)
    assert traffic.count("b", 5, 5, ended=False) == (5, 5)
    assert traffic.count("a", 30, 1, ended=False) == (20, 0)
    assert traffic.count("a", 31, 4, ended=True) == (1, 3)
    assert traffic.count("a", 31, 4, ended=True) == (31, 4)
    assert traffic.count("", 9, 9, ended=False) == (9, 9)
    assert traffic.count("", 9, 9, ended=False) == (9, 9)


def test_connections_whose_end_never_comes_are_forgotten() -> None:
    traffic = Traffic()
    for number in range(MOST_CONNECTIONS + 1):
        traffic.count(str(number), 1, 1, ended=False)
    assert traffic.count("0", 5, 5, ended=False) == (5, 5)
    assert traffic.count(str(MOST_CONNECTIONS), 5, 5, ended=False) == (4, 4)


def message(**fields: Any) -> StreamAccessLogsMessage:
    return ParseDict(fields, StreamAccessLogsMessage())


def entry(path: str, **common: Any) -> dict[str, Any]:
    return {"common_properties": common, "request": {"path": path}}


def outcomes(registry: CollectorRegistry) -> dict[str, float]:
    names = ("reported", "failed", "shed", "skipped")
    values = {n: registry.get_sample_value("mizzen_mixer_access_log_entries_total", {"outcome": n}) for n in names}
    return {name: value for name, value in values.items() if value}


async def test_a_stream_is_reported_message_by_message(
    policy: Any, make_calls: Callable[..., Calls], registry: CollectorRegistry
) -> None:
    stream = AccessLogs(policy, make_calls()).stream()
    await stream.take(message(identifier={"node": {"id": NODE}}, http_logs={"log_entry": [entry("/a"), entry("/b")]}))
    await stream.take(message(http_logs={"log_entry": [entry("/c", upstream_cluster="inbound|80||")]}))
    paths = [[bag.get("request.path") for bag in bags] for bags in policy.reports]
    assert paths == [["/a", "/b"], ["/c"]]
    assert policy.reports[1][0].get("destination.uid") == "kubernetes://reviews-v1.default"
    assert outcomes(registry) == {"reported": 3}


async def test_a_connections_bytes_are_counted_from_entry_to_entry(
    policy: Any, make_calls: Callable[..., Calls]
) -> None:
    stream = AccessLogs(policy, make_calls()).stream()
    for kind, received in (("TcpUpstreamConnected", 0), ("TcpPeriodic", 10), ("TcpConnectionEnd", 25)):
        log = {
            "common_properties": {"stream_id": "7", "access_log_type": kind},
            "connection_properties": {"received_bytes": received},
        }
        await stream.take(message(tcp_logs={"log_entry": [log]}))
    bags = [bag for bags in policy.reports for bag in bags]
    assert [bag.get("connection.event") for bag in bags] == ["open", "continue", "close"]
    assert [bag.get("connection.received.bytes") for bag in bags] == [0, 10, 15]
    assert [bag.get("connection.received.bytes_total") for bag in bags] == [0, 10, 25]


async def test_requests_are_reported_once_at_their_end(
    policy: Any, make_calls: Callable[..., Calls], registry: CollectorRegistry
) -> None:
    kinds = ("DownstreamStart", "DownstreamPeriodic", "UpstreamPoolReady", "UpstreamEnd", "DownstreamEnd")
    entries = [entry("/a", access_log_type=kind) for kind in kinds]
    await AccessLogs(policy, make_calls()).stream().take(message(http_logs={"log_entry": entries}))
    assert [len(bags) for bags in policy.reports] == [1]
    assert outcomes(registry) == {"reported": 1, "skipped": 4}


async def test_an_unreadable_entry_does_not_spoil_the_others(
    policy: Any, make_calls: Callable[..., Calls], registry: CollectorRegistry
) -> None:
    entries = [entry("/a"), entry("/b", custom_tags={"destination.port": "x"}), entry("/c")]
    await AccessLogs(policy, make_calls()).stream().take(message(http_logs={"log_entry": entries}))
    assert [bag.get("request.path") for bag in policy.reports[0]] == ["/a", "/c"]
    assert outcomes(registry) == {"reported": 2, "failed": 1}


async def test_failures_of_policy_are_counted(
    policy: Any, make_calls: Callable[..., Calls], registry: CollectorRegistry
) -> None:
    stream = AccessLogs(policy, make_calls()).stream()
    for error in (PolicyError("no"), RuntimeError("bug")):
        policy.error = error
        await stream.take(message(http_logs={"log_entry": [entry("/a"), entry("/b")]}))
    assert outcomes(registry) == {"failed": 4}


async def test_entries_are_shed_when_there_is_too_much_to_do(
    policy: Any, make_calls: Callable[..., Calls], registry: CollectorRegistry
) -> None:
    calls = make_calls(Limits(Mode.ENFORCE, requests_per_second=0.001, burst=2))
    await AccessLogs(policy, calls).stream().take(message(http_logs={"log_entry": [entry("/a")] * 3}))
    assert not policy.reports
    assert outcomes(registry) == {"shed": 3}


async def test_a_message_without_entries_is_not_reported(policy: Any, make_calls: Callable[..., Calls]) -> None:
    await AccessLogs(policy, make_calls()).stream().take(message(identifier={"node": {"id": NODE}}))
    assert not policy.reports
