"""HTTP that is carried as bytes: what this proxy does for applications that take nothing but HTTP/2 (gRPC).

It has no codec for HTTP/2 yet. Where nothing between a client and the own application looks at requests, it needs none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mizzen.proxy.engine.match_plan import PathMatch, RouteMatch
from mizzen.proxy.engine.mixer_plan import ServicePlan, TcpMixerPlan, context_of
from mizzen.proxy.engine.plan import (
    Forward,
    GuardPlan,
    HttpPlan,
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
    LocalPort,
    Network,
    Not,
    RbacPlan,
    Rule,
    ServerName,
)

_EVERYTHING: Final = RouteMatch(PathMatch("prefix", "/"))


def as_bytes(plan: HttpPlan, takes_http2: Callable[[str], bool]) -> TcpPlan | None:
    """The same for connections, with guards and reports; None where it is not the same, or where requests can be read.

    `takes_http2` says of a cluster whether its endpoints take HTTP/2 alone.
    """
    route = _only_route(plan.route_table)
    guards = tuple(guard for guard in plan.guards if _decides(guard) or _is_of_connections(guard))
    if route is None or not all(map(_is_of_connections, guards)):
        return None
    forward, mixer = _plain_forward(route), None
    if forward is None or not takes_http2(forward.clusters[0].cluster):
        return None
    if plan.mixer is not None:
        context = context_of(plan.mixer, route.mixer)
        if context.check:
            return None
        mixer = TcpMixerPlan(context.transport, ServicePlan(False, context.report, context.attributes))
    return TcpPlan(
        plan.stat_prefix,
        forward.clusters,
        idle_timeout=plan.idle_timeout,
        access_logs=plan.access_logs,
        mixer=mixer,
        guards=guards,
        is_http2=True,
    )


# In what follows, fields that are not named have to be as they are by default, those of later versions among them.


def _only_route(table: RouteTablePlan | str) -> RoutePlan | None:
    """The route of all requests, if there is such a one."""
    if isinstance(table, str) or len(table.hosts) != 1 or len(table.hosts[0].routes) != 1:
        return None
    (host,) = table.hosts
    (route,) = host.routes
    plain = VirtualHostPlan(host.name, ("*",), host.routes, include_attempt_count=host.include_attempt_count)
    if host != plain or table != RouteTablePlan(table.name, table.hosts, ignore_port=table.ignore_port):
        return None
    return route if route.match == _EVERYTHING else None


def _plain_forward(route: RoutePlan) -> Forward | None:
    """Where it leads, to one cluster, if it changes nothing in requests and responses."""
    action = route.action
    if not isinstance(action, Forward) or len(action.clusters) != 1:
        return None
    to = WeightedCluster(action.clusters[0].cluster, action.clusters[0].weight)
    plain = Forward((to,), action.timeout, retry_connect_failures=action.retry_connect_failures)
    same = action == plain and route == RoutePlan(
        route.name, route.match, action, origin=route.origin, mixer=route.mixer
    )
    return action if same else None


def _decides(guard: GuardPlan) -> bool:
    """Not so what is only tried, or noted: that must close no port, and counts nothing where nobody reads requests."""
    return not isinstance(guard, RbacPlan) or not (guard.is_shadow or guard.action == "LOG")


def _is_of_connections(guard: GuardPlan) -> bool:
    """It decides by who calls alone: it says the same of a connection as of each request on it."""
    return isinstance(guard, RbacPlan) and all(_reads_no_request(policy.rule) for policy in guard.policies)


def _reads_no_request(rule: Rule) -> bool:
    if isinstance(rule, AllOf | AnyOf):
        return all(map(_reads_no_request, rule.rules))
    if isinstance(rule, Not):
        return _reads_no_request(rule.rule)
    if isinstance(rule, Network):
        return rule.end != "client"  # it may be in x-forwarded-for
    return isinstance(rule, Anything | LocalPort | ServerName | Authenticated)
