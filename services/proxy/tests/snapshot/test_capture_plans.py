"""Listeners and clusters of captured traffic, as Istio's Pilot writes them."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.listener.http_inspector.v3 import http_inspector_pb2  # noqa: F401  # for json_format
from envoy.extensions.filters.listener.original_dst.v3 import original_dst_pb2  # noqa: F401
from envoy.extensions.filters.listener.original_src.v3 import original_src_pb2  # noqa: F401
from envoy.extensions.filters.listener.proxy_protocol.v3 import proxy_protocol_pb2  # noqa: F401
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2  # noqa: F401
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2  # noqa: F401
from google.protobuf.json_format import ParseDict

from mizzen.proxy.engine.plan import (
    AccessLogPlan,
    ChainMatch,
    ChoicePlan,
    ClusterPlan,
    DestinationPlan,
    ListenerPlan,
    RefusePlan,
    SniffPlan,
    TcpPlan,
)
from mizzen.proxy.snapshot import compile_resource
from mizzen.proxy.snapshot.result import Compiled, Rejected

TYPES = "type.googleapis.com/envoy.extensions"


def tcp(cluster: str, match: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    config = {"@type": f"{TYPES}.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": cluster, "cluster": cluster}
    chain = {"filters": [{"name": "tcp", "typed_config": config}], **more}
    return chain if match is None else {"filter_chain_match": match, **chain}


def inspector(kind: str, disabled: dict[str, Any] | None = None) -> dict[str, Any]:
    name = "".join(word.capitalize() for word in kind.split("_"))
    found: dict[str, Any] = {"name": kind, "typed_config": {"@type": f"{TYPES}.filters.listener.{kind}.v3.{name}"}}
    return found if disabled is None else found | {"filter_disabled": disabled}


def ports(start: int, end: int) -> dict[str, Any]:
    return {"destination_port_range": {"start": start, "end": end}}


def compiled(message: dict[str, Any]) -> tuple[ListenerPlan, tuple[str, ...]]:
    address = {"socket_address": {"address": "0.0.0.0", "port_value": 15006}}
    outcome = compile_resource(ParseDict({"name": "l", "address": address, **message}, listener_pb2.Listener()))
    assert isinstance(outcome, Compiled), str(outcome)
    assert isinstance(outcome.plan, ListenerPlan)
    return outcome.plan, tuple(item.field for item in outcome.unsupported)


def rejected(message: dict[str, Any]) -> str:
    address = {"socket_address": {"address": "0.0.0.0", "port_value": 15006}}
    outcome = compile_resource(ParseDict({"name": "l", "address": address, **message}, listener_pb2.Listener()))
    assert isinstance(outcome, Rejected), str(outcome)
    return str(outcome)


LOG = {
    "name": "file",
    "filter": {"response_flag_filter": {"flags": ["NR"]}},
    "typed_config": {"@type": f"{TYPES}.access_loggers.file.v3.FileAccessLog", "path": "/dev/stdout"},
}


def test_virtual_outbound() -> None:
    plan, unsupported = compiled(
        {
            "use_original_dst": True,
            "traffic_direction": "OUTBOUND",
            "filter_chains": [
                tcp("BlackHoleCluster", {"destination_port": 15001}, name="virtualOutbound-blackhole"),
                tcp("PassthroughCluster", name="virtualOutbound-catchall-tcp"),
            ],
            "access_log": [LOG],
        }
    )
    assert unsupported == ()
    assert (plan.hands_off, plan.bound, plan.sniff) == (True, True, None)
    assert isinstance(plan.handler, ChoicePlan)
    assert [chain.match for chain in plan.handler.chains] == [ChainMatch(port=15001), ChainMatch()]
    assert plan.access_logs == (AccessLogPlan("/dev/stdout"),)


def test_logs_of_all_connections_of_a_listener_are_not_there_yet() -> None:
    unfiltered = {name: value for name, value in LOG.items() if name != "filter"}
    plan, unsupported = compiled({"filter_chains": [tcp("a")], "access_log": [LOG, unfiltered]})
    assert plan.access_logs == (AccessLogPlan("/dev/stdout"),)
    assert unsupported == ("envoy.config.listener.v3.Listener.access_log",)


def test_virtual_inbound() -> None:
    tls = {"name": "tls", "typed_config": {"@type": f"{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext"}}
    plan, unsupported = compiled(
        {
            "traffic_direction": "INBOUND",
            "listener_filters": [
                inspector("original_dst"),
                inspector("tls_inspector", ports(15006, 15007)),
                inspector("http_inspector", {"or_match": {"rules": [ports(15006, 15007), ports(3306, 3307)]}}),
            ],
            "listener_filters_timeout": "0s",
            "continue_on_listener_filters_timeout": True,
            "filter_chains": [
                tcp("BlackHoleCluster", {"destination_port": 15006}),
                tcp("in", {"destination_port": 80, "transport_protocol": "tls"}, transport_socket=tls, name="a"),
                tcp("in", {"destination_port": 80, "transport_protocol": "raw_buffer"}, name="a"),
                tcp(
                    "all",
                    {"prefix_ranges": [{"address_prefix": "0.0.0.0", "prefix_len": 0}], "source_type": "EXTERNAL"},
                ),
            ],
        }
    )
    assert unsupported == ("envoy.config.listener.v3.FilterChain.transport_socket",)
    assert (plan.restores, plan.hands_off) == (True, False)
    assert plan.sniff == SniffPlan(
        tls=((0, 15006), (15007, 65536)),
        http=((0, 3306), (3307, 15006), (15007, 65536)),
        timeout=0.0,
        go_on=True,
    )
    assert isinstance(plan.handler, ChoicePlan)
    refused = plan.handler.chains[1].handler
    assert refused == RefusePlan(
        "transport_socket.typed_config.common_tls_context.tls_certificate_sds_secret_configs: is missing"
    )
    assert plan.handler.chains[3].match == ChainMatch(destinations=("0.0.0.0/0",), source_type="external")


@pytest.mark.parametrize(
    ("predicate", "enabled"),
    [
        ({"any_match": True}, ()),
        ({"not_match": ports(80, 90)}, ((80, 90),)),
        ({"or_match": {"rules": [ports(80, 90), ports(85, 95)]}}, ((0, 80), (95, 65536))),
        ({"and_match": {"rules": [ports(80, 90), ports(85, 95)]}}, ((0, 85), (90, 65536))),
        (ports(0, 65536), ()),
        (ports(5, 5), ((0, 65536),)),
    ],
)
def test_where_an_inspector_looks(predicate: dict[str, Any], enabled: tuple[tuple[int, int], ...]) -> None:
    chains = [tcp("a", {"destination_port": 1}), tcp("b")]
    plan, _ = compiled({"listener_filters": [inspector("http_inspector", predicate)], "filter_chains": chains})
    assert plan.sniff == (SniffPlan(http=enabled) if enabled else None)


def test_a_listener_for_hand_off_with_several_addresses() -> None:
    more = {"address": {"socket_address": {"address": "fd00::1", "port_value": 6379}}}
    plan, unsupported = compiled(
        {
            "address": {"socket_address": {"address": "10.96.0.1", "port_value": 6379}},
            "additional_addresses": [more],
            "bind_to_port": False,
            "filter_chains": [tcp("redis")],
        }
    )
    assert unsupported == ()
    assert isinstance(plan.handler, TcpPlan)
    assert plan.sockets == {}
    assert plan.addresses == (("10.96.0.1", 6379), ("fd00::1", 6379))


def test_a_dual_stack_listener_needs_two_sockets() -> None:
    more = {"address": {"socket_address": {"address": "::", "port_value": 15001}}}
    plan, _ = compiled({"additional_addresses": [more], "filter_chains": [tcp("a")]})
    assert plan.sockets == {"l": ("0.0.0.0", 15006), "l :: 15001": ("::", 15001)}


def test_tproxy() -> None:
    plan, unsupported = compiled(
        {
            "transparent": True,
            "freebind": True,
            "listener_filters": [inspector("original_dst"), inspector("original_src")],
            "filter_chains": [tcp("a")],
        }
    )
    assert plan.transparent
    assert [option[:2] for option in plan.socket_options] == [(0, 19), (0, 15)]
    assert unsupported == ("envoy.extensions.filters.listener.original_src.v3.OriginalSrc",)


def test_one_chain_that_takes_everything_needs_no_look_at_the_bytes() -> None:
    plan, _ = compiled({"listener_filters": [inspector("http_inspector")], "filter_chains": [tcp("a")]})
    assert isinstance(plan.handler, TcpPlan)
    assert plan.sniff is None


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ({}, "filter_chains: is empty"),
        (
            {"filter_chains": [tcp("a", {"destination_port": 1}), tcp("b", {"destination_port": 1})]},
            "filter_chains: two filter chains match the same connections",
        ),
        (
            {"filter_chains": [tcp("a", {"transport_protocol": "quic"})]},
            "filter_chains[0].filter_chain_match.transport_protocol: must be raw_buffer or tls, not 'quic'",
        ),
        (
            {"filter_chains": [tcp("a", {"prefix_ranges": [{"address_prefix": "nowhere"}]})]},
            "filter_chains[0].filter_chain_match.prefix_ranges[0]:",
        ),
        (
            {"filter_chains": [tcp("a", {"server_names": ["a.*"]})]},
            "filter_chains[0].filter_chain_match.server_names[0]: 'a.*' may have a wildcard only as",
        ),
        (
            {"filter_chains": [tcp("a")], "default_filter_chain": tcp("b", {"destination_port": 1})},
            "default_filter_chain.filter_chain_match: the default takes",
        ),
        (
            {"filter_chains": [tcp("a")], "listener_filters": [inspector("proxy_protocol")]},
            "listener_filters[0]: envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol is not supported",
        ),
        (
            {"filter_chains": [tcp("a")], "listener_filters": [inspector("tls_inspector", {})]},
            "listener_filters[0].filter_disabled: needs one of or_match",
        ),
    ],
)
def test_what_is_refused(message: dict[str, Any], complaint: str) -> None:
    assert rejected(message).startswith(f"Listener l: {complaint}")


def cluster(**fields: Any) -> ClusterPlan | str:
    message = {"name": "c", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", **fields}
    outcome = compile_resource(ParseDict(message, cluster_pb2.Cluster()))
    if isinstance(outcome, Rejected):
        return str(outcome)
    assert isinstance(outcome.plan, ClusterPlan)
    assert outcome.unsupported == ()
    return outcome.plan


def test_the_cluster_that_calls_the_application() -> None:
    source = {"address": "127.0.0.6", "port_value": 0}
    extra = {"address": {"address": "::6", "port_value": 0}}
    plan = cluster(
        upstream_bind_config={"source_address": source, "extra_source_addresses": [extra]}, cleanup_interval="60s"
    )
    assert isinstance(plan, ClusterPlan)
    assert (plan.discovery, plan.sources) == ("original_dst", ("127.0.0.6", "::6"))
    assert plan.destination == DestinationPlan(cleanup_interval=60.0)


def test_where_the_destination_comes_from() -> None:
    plan = cluster(original_dst_lb_config={"use_http_header": True, "upstream_port_override": 8080})
    assert isinstance(plan, ClusterPlan)
    assert plan.destination == DestinationPlan("x-envoy-original-dst-host", 8080)
    named = cluster(original_dst_lb_config={"use_http_header": True, "http_header_name": "X-To"})
    assert isinstance(named, ClusterPlan)
    assert named.destination.header == "x-to"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ({"address": "localhost", "port_value": 0}, "address: 'localhost' is not an IP address"),
        ({"address": "127.0.0.6", "port_value": 80}, "port_value: must be 0"),
    ],
)
def test_a_source_that_cannot_be(source: dict[str, Any], complaint: str) -> None:
    found = cluster(upstream_bind_config={"source_address": source})
    assert found == f"Cluster c: upstream_bind_config.source_address.{complaint}"
