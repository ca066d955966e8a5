"""Routes bound for the hot path: where a request goes, or what is answered in its place."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Final, TypeAlias

from mizzen.proxy.engine.edits import Edits, bind_edits
from mizzen.proxy.engine.match import regex
from mizzen.proxy.engine.match_plan import PathMatch
from mizzen.proxy.engine.mixer_plan import ServicePlan
from mizzen.proxy.engine.plan import (
    Action,
    Forward,
    HeaderEdits,
    Redirect,
    RoutePlan,
    RouteTablePlan,
    VirtualHostPlan,
    WeightedCluster,
)
from mizzen.proxy.engine.redirect import Location, bind_location

FORWARD: Final = 0
REDIRECT: Final = 1
RESPOND: Final = 2

PathRewrite: TypeAlias = Callable[[bytes], bytes]


class Target:
    """One destination of a route, with everything that depends on the choice."""

    __slots__ = ("cluster", "host_rewrite", "mixer", "request_edits", "response_edits")

    def __init__(
        self, cluster: str, host_rewrite: bytes, request_edits: Edits | None, response_edits: Edits | None
    ) -> None:
        self.cluster = cluster
        self.mixer: ServicePlan | None = None
        """What Mixer's filter does for the requests that go here, where the route says nothing."""
        self.host_rewrite = host_rewrite
        """The Host to send; b"" keeps the request's."""
        self.request_edits = request_edits
        """All levels' edits (destination, route, virtual host, table) as one; None when there are none."""
        self.response_edits = response_edits


class Route:
    """A route ready to run. Which attributes mean something depends on `kind`."""

    __slots__ = (
        "body",
        "include_attempt_count",
        "kind",
        "mixer",
        "mixer_of_target",
        "name",
        "origin",
        "redirect_location",
        "response_edits",
        "retry_connect_failures",
        "rewrite_path",
        "status",
        "target",
        "targets",
        "timeout",
        "timeout_line",
        "vhost",
    )

    kind: int
    """FORWARD, REDIRECT or RESPOND."""
    name: str
    origin: str
    """The user's object, "VirtualService default/reviews"; "" when none made the route."""
    vhost: str
    """Name of the virtual host."""
    include_attempt_count: bool
    """Send x-envoy-attempt-count upstream."""
    mixer: ServicePlan | None
    """What Mixer's filter does for the route's requests; None is its default."""
    mixer_of_target: bool
    """That depends on where a request goes."""

    timeout: float
    """FORWARD: seconds until 504; 0 for none."""
    timeout_line: bytes
    """FORWARD: the same as x-envoy-expected-rq-timeout-ms, for the endpoint."""
    retry_connect_failures: int
    """FORWARD: how many other endpoints are tried when a connection fails."""
    rewrite_path: PathRewrite | None
    """FORWARD: the path to send from the path that came; None keeps it. The old one goes to x-envoy-original-path."""
    target: Callable[[float], Target]
    """FORWARD: the destination for a point in [0, 1); destinations get shares of it in proportion to their weights."""
    targets: tuple[Target, ...]
    """FORWARD: all destinations."""

    status: int
    """REDIRECT, RESPOND: of the answer."""
    body: bytes
    """RESPOND: of the answer."""
    redirect_location: Location
    """REDIRECT: the value of Location for a request."""
    response_edits: Edits | None
    """REDIRECT, RESPOND: edits of the answer's head."""


def bind_route(plan: RoutePlan, host: VirtualHostPlan, table: RouteTablePlan) -> Route:
    """Make a route runnable; ValueError says what cannot be."""
    route = _blank(plan.name, plan.origin, host)
    route.mixer = plan.mixer
    action: Action = plan.action
    if isinstance(action, Forward):
        _bind_forward(route, action, plan, host, table)
        return route
    route.response_edits = bind_edits(plan.response_edits, host.response_edits, table.response_edits)
    if isinstance(action, Redirect):
        route.kind = REDIRECT
        route.status = action.code
        prefix = _replace_start(plan.match.path, action.prefix.encode()) if action.prefix else None
        route.redirect_location = bind_location(action, prefix)
    else:
        route.kind = RESPOND
        route.status = action.status
        route.body = action.body
    return route


def tls_redirect(host: VirtualHostPlan, table: RouteTablePlan) -> Route:
    """The route of every plaintext request to a virtual host that requires TLS."""
    route = _blank("", "", host)
    route.kind = REDIRECT
    route.status = 301
    route.redirect_location = bind_location(Redirect(https=True), None)
    route.response_edits = bind_edits(host.response_edits, table.response_edits)
    return route


def _blank(name: str, origin: str, host: VirtualHostPlan) -> Route:
    route = Route()
    route.kind = RESPOND
    route.name = name
    route.origin = origin
    route.vhost = host.name
    route.include_attempt_count = host.include_attempt_count
    route.timeout = 0.0
    route.timeout_line = b""
    route.retry_connect_failures = 0
    route.rewrite_path = None
    route.targets = ()
    route.status = 0
    route.body = b""
    route.response_edits = None
    route.mixer = None
    route.mixer_of_target = False
    return route


def _bind_forward(route: Route, action: Forward, plan: RoutePlan, host: VirtualHostPlan, table: RouteTablePlan) -> None:
    def bind_target(weighted: WeightedCluster) -> Target:
        def levels(kind: str) -> tuple[HeaderEdits, ...]:
            return tuple(getattr(level, kind) for level in (weighted, plan, host, table))

        target = Target(
            weighted.cluster,
            (weighted.host_rewrite or action.host_rewrite).encode(),
            bind_edits(*levels("request_edits")),
            bind_edits(*levels("response_edits")),
        )
        target.mixer = weighted.mixer
        return target

    route.kind = FORWARD
    route.timeout = action.timeout
    route.timeout_line = b"x-envoy-expected-rq-timeout-ms: %d" % (action.timeout * 1000)
    route.retry_connect_failures = action.retry_connect_failures
    route.rewrite_path = _bind_rewrite(action, plan.match.path)
    if not action.clusters:
        raise ValueError(f"route {plan.name!r} has no destination")
    alone = len(action.clusters) == 1
    chosen = [weighted for weighted in action.clusters if alone or weighted.weight]
    if not chosen:
        raise ValueError(f"route {plan.name!r}: the weights of the destinations add up to 0")
    route.targets = tuple(bind_target(weighted) for weighted in chosen)
    route.mixer_of_target = plan.mixer is None and any(target.mixer is not None for target in route.targets)
    route.target = weighted_choice(route.targets, tuple(weighted.weight for weighted in chosen))


def weighted_choice(targets: tuple[Target, ...], weights: tuple[int, ...]) -> Callable[[float], Target]:
    """A function from a point in [0, 1) to a target; each owns a stretch as long as its weight, in order."""
    if len(targets) == 1:
        only = targets[0]
        return lambda point: only
    total = 0
    ends = []
    for weight in weights:
        total += weight
        ends.append(total)
    ends.pop()  # whatever lies beyond is the last one's, also a point * total that rounds up to total
    return lambda point: targets[bisect_right(ends, int(point * total))]


def _bind_rewrite(action: Forward, path: PathMatch) -> PathRewrite | None:
    if action.prefix_rewrite:
        return _replace_start(path, action.prefix_rewrite.encode())
    if action.regex_rewrite is not None:
        return _replace_matches(*action.regex_rewrite)
    return None


def _replace_start(match: PathMatch, replacement: bytes) -> PathRewrite:
    """Replace the matched prefix; of an exact or regex match, the whole path before the query."""
    replacement = _rooted(replacement)
    if match.kind == "prefix":
        size = len(match.value.encode())
        return lambda path: replacement + path[size:]

    def replace_whole(path: bytes) -> bytes:
        _, mark, query = path.partition(b"?")
        return replacement + mark + query

    return replace_whole


def _rooted(path: bytes) -> bytes:
    """A path begins with a slash; without one, or empty, it would spoil the request line."""
    return path if path[:1] == b"/" else b"/" + path


def _replace_matches(pattern: str, substitution: str) -> PathRewrite:
    r"""Replace every match in the path before the query; `\1` is a group, `\0` the match (RE2)."""
    compiled = regex(pattern)
    replacement = _template(substitution, pattern, compiled.groups)
    sub = compiled.sub

    def rewrite(path: bytes) -> bytes:
        bare, mark, query = path.partition(b"?")
        new: bytes = sub(replacement, bare)
        return (new if new == bare else _rooted(new)) + mark + query

    return rewrite


def _template(substitution: str, pattern: str, groups: int) -> bytes:
    r"""An RE2 substitution in the words of re2.sub: `\N` becomes `\g<N>`, `\\` stays."""
    out = ""
    at = 0
    while at < len(substitution):
        char = substitution[at]
        at += 1
        if char != "\\":
            out += char
            continue
        escaped = substitution[at : at + 1]
        at += 1
        if escaped == "\\":
            out += "\\\\"
        elif escaped.isdigit() and int(escaped) <= groups:
            out += f"\\g<{escaped}>"
        else:
            raise ValueError(f"substitution {substitution!r} does not fit regex {pattern!r}: \\{escaped}")
    return out.encode()
