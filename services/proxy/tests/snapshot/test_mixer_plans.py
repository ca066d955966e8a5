"""What Pilot says to the filter `mixer`, compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from mizzen.proto import attributes_pb2
from mizzen.proxy.engine.mixer_plan import (
    DEFAULT_KEYS,
    MixerPlan,
    QuotaClause,
    QuotaRulePlan,
    ServicePlan,
    context_of,
    forwarded,
)
from mizzen.proxy.engine.plan import Forward, HttpPlan, ListenerPlan, RouteTablePlan, TcpPlan
from mizzen.proxy.snapshot import compile_resource
from mizzen.proxy.snapshot.result import Compiled, Rejected

Make = dict[str, Callable[..., Any]]
PACKAGE = "type.googleapis.com/istio.mixer.v1.config.client"
ROUTER = {
    "name": "router",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
}
TCP_PROXY = {
    "name": "tcp",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "t",
        "cluster": "passthrough",
    },
}


def texts(**values: str) -> dict[str, Any]:
    return {"attributes": {name.replace("_", "."): {"stringValue": value} for name, value in values.items()}}


def read(data: bytes) -> dict[str, str]:
    message = attributes_pb2.Attributes.FromString(data)
    return {name: value.string_value for name, value in message.attributes.items()}


def listener(make: Make, config: dict[str, Any], direction: str = "INBOUND") -> Any:
    filters = [{"name": "mixer", "typed_config": {"@type": f"{PACKAGE}.HttpClientConfig", **config}}, ROUTER]
    message = make["listener"]("l", http_filters=filters)
    return ParseDict({"traffic_direction": direction}, message)


def mixer_of(message: Any) -> MixerPlan:
    outcome = compile_resource(message)
    assert isinstance(outcome, Compiled), str(outcome)
    assert outcome.unsupported == ()
    plan = outcome.plan
    assert isinstance(plan, ListenerPlan)
    assert isinstance(plan.handler, HttpPlan)
    assert plan.handler.mixer is not None
    return plan.handler.mixer


CONFIG: dict[str, Any] = {
    "transport": {
        "network_fail_policy": {"policy": "FAIL_CLOSE", "max_retry": 2, "base_retry_wait": "0.01s"},
        "check_cluster": "outbound|9091||mixer",
        "report_batch_max_entries": 10,
        "report_batch_max_time": "2s",
    },
    "mixer_attributes": texts(context_reporter_kind="inbound"),
    "forward_attributes": texts(source_uid="u"),
    "service_configs": {"default": {"disable_check_calls": True, "mixer_attributes": texts(destination_service="d")}},
    "default_destination_service": "default",
}


def test_the_filter(make: Make) -> None:
    plan = mixer_of(listener(make, CONFIG))
    transport = plan.transport
    assert (transport.fail_open, transport.max_retry, transport.base_retry_wait) == (False, 2, 0.01)
    assert (transport.check_cluster, transport.report_cluster) == ("outbound|9091||mixer", "mixer_server")
    assert (transport.batch_entries, transport.batch_seconds) == (10, 2.0)
    context = context_of(plan, None)
    assert (context.check, context.report) == (False, True)
    assert read(context.attributes) == {"context.reporter.kind": "inbound", "destination.service": "d"}
    assert read(forwarded(plan, None)) == {"source.uid": "u"}


@pytest.mark.parametrize(
    ("direction", "ignored", "trusted"),
    [("INBOUND", False, True), ("INBOUND", True, False), ("OUTBOUND", False, False), ("UNSPECIFIED", False, False)],
)
def test_only_inbound_listeners_believe_their_peers(make: Make, direction: str, ignored: bool, trusted: bool) -> None:
    config = CONFIG | {"ignore_forwarded_attributes": ignored}
    assert mixer_of(listener(make, config, direction)).trusts_peer is trusted


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (
            {"transport": {"network_fail_policy": {"base_retry_wait": "2s"}}},
            "typed_config.transport.network_fail_policy: the waits must be",
        ),
        (
            {"service_configs": {"x": {"quota_spec": [{"rules": [{"quotas": [{"charge": 1}]}]}]}}},
            "service_configs[x].quota_spec[0].rules[0].quotas[0].quota: is missing",
        ),
        (
            {"service_configs": {"x": {"quota_spec": [{"rules": [{"match": [{"clause": {"a": {"regex": "("}}}]}]}]}}},
            "rules[0].match[0].clause[a].regex",
        ),
    ],
)
def test_bad_configuration_is_named(make: Make, config: dict[str, Any], reason: str) -> None:
    outcome = compile_resource(listener(make, config))
    assert isinstance(outcome, Rejected)
    assert reason in str(outcome)


def test_a_route(make: Make) -> None:
    service = {
        "@type": f"{PACKAGE}.ServiceConfig",
        "mixer_attributes": texts(destination_service="reviews"),
        "quota_spec": [
            {
                "rules": [
                    {
                        "match": [{"clause": {"request.path": {"prefix": "/a"}, "x": {}}}],
                        "quotas": [{"quota": "requestcount", "charge": "2"}],
                    }
                ]
            }
        ],
    }
    outcome = compile_resource(make["routes"]("r", "c", typed_per_filter_config={"mixer": service}))
    assert isinstance(outcome, Compiled), str(outcome)
    assert isinstance(outcome.plan, RouteTablePlan)
    plan = outcome.plan.hosts[0].routes[0].mixer
    assert plan is not None
    assert (plan.check, plan.report, read(plan.attributes)) == (True, True, {"destination.service": "reviews"})
    clauses = (QuotaClause("request.path", "prefix", "/a"), QuotaClause("x", "any"))
    assert plan.quotas == (QuotaRulePlan((clauses,), (("requestcount", 2),)),)
    assert outcome.unsupported == ()


def test_the_apis_of_a_route(make: Make) -> None:
    spec = {
        "attributes": texts(api_service="books"),
        "patterns": [
            {"http_method": "GET", "uri_template": "/books/{id}:sell", "attributes": texts(api_operation="sell")}
        ],
    }
    service = {"@type": f"{PACKAGE}.ServiceConfig", "http_api_spec": [spec]}
    outcome = compile_resource(make["routes"]("r", "c", typed_per_filter_config={"mixer": service}))
    assert isinstance(outcome, Compiled), str(outcome)
    assert isinstance(outcome.plan, RouteTablePlan)
    assert outcome.unsupported == ()
    plan = outcome.plan.hosts[0].routes[0].mixer
    api = context_of(MixerPlan(), plan).api
    assert api is not None
    assert (read(api.attributes), api.keys, api.names) == ({"api.service": "books"}, DEFAULT_KEYS, ("api.operation",))
    [pattern] = api.patterns
    assert (pattern.segments, pattern.verb) == ((b"books", b"*", b"sell"), b"sell")


def test_a_route_with_another_message(make: Make) -> None:
    wrong = {"@type": f"{PACKAGE}.TcpClientConfig"}
    outcome = compile_resource(make["routes"]("r", "c", typed_per_filter_config={"mixer": wrong}))
    assert isinstance(outcome, Rejected)
    assert "typed_per_filter_config[mixer]: expected istio.mixer.v1.config.client.ServiceConfig" in str(outcome)


def test_what_cannot_be_read_is_rejected(make: Make) -> None:
    message = make["routes"]("r", "c", typed_per_filter_config={"mixer": {"@type": f"{PACKAGE}.ServiceConfig"}})
    message.virtual_hosts[0].routes[0].typed_per_filter_config["mixer"].value = b"\xff\xff"
    outcome = compile_resource(message)
    assert isinstance(outcome, Rejected)


def test_the_network_filter(make: Make) -> None:
    config = {
        "@type": f"{PACKAGE}.TcpClientConfig",
        "disable_check_calls": True,
        "report_interval": "0.1s",
        "mixer_attributes": texts(destination_service="mongo"),
    }
    message = make["listener"]("l")
    del message.filter_chains[:]
    ParseDict({"filter_chains": [{"filters": [{"name": "mixer", "typed_config": config}, TCP_PROXY]}]}, message)
    outcome = compile_resource(message)
    assert isinstance(outcome, Compiled), str(outcome)
    assert isinstance(outcome.plan, ListenerPlan)
    assert isinstance(outcome.plan.handler, TcpPlan)
    mixer = outcome.plan.handler.mixer
    assert mixer is not None
    assert (mixer.service.check, mixer.service.report, mixer.report_interval) == (False, True, 1.0)


def test_weighted_clusters(make: Make) -> None:
    service = {"@type": f"{PACKAGE}.ServiceConfig", "disable_check_calls": True}
    clusters = [
        {"name": "a", "weight": 1, "typed_per_filter_config": {"mixer": service}},
        {"name": "b", "weight": 1},
    ]
    message = make["routes"]("r", "c")
    action = message.virtual_hosts[0].routes[0].route
    action.Clear()
    ParseDict({"weighted_clusters": {"clusters": clusters}}, action)
    outcome = compile_resource(message)
    assert isinstance(outcome, Compiled), str(outcome)
    assert isinstance(outcome.plan, RouteTablePlan)
    forward = outcome.plan.hosts[0].routes[0].action
    assert isinstance(forward, Forward)
    first, second = forward.clusters
    assert (first.mixer, second.mixer) == (ServicePlan(check=False), None)
