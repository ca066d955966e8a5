"""Which HTTP may be carried as bytes: what nobody on the way looks into."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mizzen.proxy.engine.bytewise import as_bytes
from mizzen.proxy.engine.ext_authz_plan import ExtAuthzPlan, GrpcCall
from mizzen.proxy.engine.jwt.plan import JwtPlan
from mizzen.proxy.engine.match_plan import HeaderMatch, PathMatch, RouteMatch, StringMatch
from mizzen.proxy.engine.mixer_plan import MixerPlan, ServicePlan, TcpMixerPlan, TransportPlan
from mizzen.proxy.engine.plan import (
    AccessLogPlan,
    Forward,
    HeaderEdits,
    HttpPlan,
    Respond,
    RoutePlan,
    RouteTablePlan,
    TcpPlan,
    VirtualHostPlan,
    WeightedCluster,
)
from mizzen.proxy.engine.rbac_plan import (
    AllOf,
    AnyOf,
    Anything,
    Authenticated,
    Header,
    LocalPort,
    Network,
    Not,
    PolicyPlan,
    RbacPlan,
    Rule,
    UrlPath,
)

TO = WeightedCluster("inbound|9000||")
ROUTE = RoutePlan("default", RouteMatch(PathMatch("prefix", "/")), Forward((TO,)))
HOST = VirtualHostPlan("inbound|http|9000", ("*",), (ROUTE,))
TABLE = RouteTablePlan("inbound|9000||", (HOST,))
LOG = AccessLogPlan("/dev/null")
PLAN = HttpPlan("inbound", TABLE, idle_timeout=7.0, access_logs=(LOG,))
CALLER: Rule = AllOf((AnyOf((Authenticated(StringMatch("exact", "a")), Network("peer", "10.0.0.0/8"))), Anything()))


def by(rule: Rule) -> tuple[RbacPlan]:
    return (RbacPlan("ALLOW", (PolicyPlan("p", rule),)),)


def grpc(name: str) -> bool:
    return name == TO.cluster


def test_requests_that_nobody_looks_at() -> None:
    assert as_bytes(PLAN, grpc) == TcpPlan("inbound", (TO,), 7.0, (LOG,), is_http2=True)


def test_who_may_connect_is_asked_of_connections() -> None:
    guards = by(AllOf((CALLER, Not(LocalPort(9000, 9000)))))
    made = as_bytes(replace(PLAN, guards=guards), grpc)
    assert made is not None
    assert made.guards == guards


@pytest.mark.parametrize("changed", [{"is_shadow": True}, {"action": "LOG"}])
def test_policies_without_effect_have_none_here_either(changed: dict[str, Any]) -> None:
    (reads,), (knows,) = by(UrlPath(StringMatch("prefix", "/x"))), by(CALLER)
    tried, enforced = replace(knows, **changed), RbacPlan("DENY", knows.policies)
    made = as_bytes(replace(PLAN, guards=(replace(reads, **changed), tried, enforced)), grpc)
    assert made is not None
    assert made.guards == (tried, enforced)


def test_connections_are_reported_where_requests_would_be() -> None:
    own = TransportPlan(report_cluster="mixer")
    service = ServicePlan(check=False, attributes=b"b")
    table = replace(TABLE, hosts=(replace(HOST, routes=(replace(ROUTE, mixer=service),)),))
    made = as_bytes(replace(PLAN, mixer=MixerPlan(own, b"a"), route_table=table), grpc)
    assert made is not None
    assert made.mixer == TcpMixerPlan(own, ServicePlan(check=False, attributes=b"ab"))


def test_an_application_that_takes_http_1_is_none_of_these() -> None:
    assert as_bytes(PLAN, lambda name: False) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"mixer": MixerPlan(services=(("all", ServicePlan()),), default_service="all")},
        {"guards": (JwtPlan((), ()),)},
        {"guards": (ExtAuthzPlan(GrpcCall("a", 1.0)),)},
        {"guards": by(UrlPath(StringMatch("prefix", "/x")))},
        {"guards": by(Not(AllOf((CALLER, Header(HeaderMatch("x", None))))))},
        {"guards": by(Network("client", "10.0.0.0/8"))},
        {"guards": (*by(CALLER), *by(UrlPath(StringMatch("prefix", "/x"))))},
        {"route_table": "by name"},
        {"route_table": replace(TABLE, hosts=(HOST, HOST))},
        {"route_table": replace(TABLE, hosts=())},
        {"route_table": replace(TABLE, request_edits=HeaderEdits(remove=("x",)))},
    ],
)
def test_what_looks_at_requests_is_not_gone_around(changed: dict[str, Any]) -> None:
    assert as_bytes(replace(PLAN, **changed), grpc) is None


@pytest.mark.parametrize(
    "changed", [{"domains": ("a",)}, {"routes": (ROUTE, ROUTE)}, {"routes": ()}, {"require_tls": True}]
)
def test_hosts_that_are_not_all_alike(changed: dict[str, Any]) -> None:
    assert as_bytes(replace(PLAN, route_table=replace(TABLE, hosts=(replace(HOST, **changed),))), grpc) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"match": RouteMatch(PathMatch("prefix", "/x"))},
        {"match": RouteMatch(PathMatch("prefix", "/"), headers=(HeaderMatch("x", None),))},
        {"action": Respond(200)},
        {"action": Forward((TO, TO))},
        {"action": Forward((TO,), host_rewrite="a")},
        {"action": Forward((replace(TO, host_rewrite="a"),))},
        {"response_edits": HeaderEdits(remove=("x",))},
    ],
)
def test_routes_that_change_requests(changed: dict[str, Any]) -> None:
    table = replace(TABLE, hosts=(replace(HOST, routes=(replace(ROUTE, **changed),)),))
    assert as_bytes(replace(PLAN, route_table=table), grpc) is None
