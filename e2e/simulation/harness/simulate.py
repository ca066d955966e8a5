"""YAML to decision without a socket: Pilot's resources become the proxy's plans, and the engine decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, cast

from simulation.harness.ask import visible
from simulation.harness.call import POINTS, UPSTREAM_HEADERS, Call, Result
from simulation.harness.world import World

from mizzen.proxy.codec.headers import Head, line, read_head, value_of, values_of
from mizzen.proxy.codec.path import normalize
from mizzen.proxy.engine.edits import Edits
from mizzen.proxy.engine.jwt.plan import JwtPlan
from mizzen.proxy.engine.plan import ClusterPlan, HttpPlan, ListenerPlan, RouteTablePlan
from mizzen.proxy.engine.request import Findings, Record
from mizzen.proxy.engine.route import FORWARD, REDIRECT, Route
from mizzen.proxy.engine.stats import AuthorizationStats, JwtStats
from mizzen.proxy.engine.table import RouteTable, bind_table
from mizzen.proxy.io.authorization import Authorization, Denied, Entrant
from mizzen.proxy.io.exchange import Exchange
from mizzen.proxy.io.tokens import Tokens
from mizzen.proxy.snapshot import compile_resource
from mizzen.proxy.snapshot.result import Compiled


@dataclass
class Request:
    """A call as the engine sees it (mizzen.proxy.engine.request.RequestView), and edits it."""

    method: bytes
    path: bytes
    authority: bytes
    scheme: bytes
    head: Head
    findings: Findings = field(default_factory=dict)

    def metadata(self, namespace: str, /) -> Mapping[str, object]:
        return self.findings.get(namespace, {})

    def header(self, name: bytes, /) -> bytes | None:
        return value_of(self.head, name)

    def values(self, name: bytes, /) -> list[bytes]:
        return values_of(self.head, name)


@lru_cache
def listeners(world: World) -> dict[int, ListenerPlan]:
    """The world's listeners by port, as the proxy compiles them."""
    plans = [cast("ListenerPlan", compiled(message)) for message in world.listeners]
    return {plan.port: plan for plan in plans}


@lru_cache
def tables(world: World) -> dict[str, RouteTable]:
    """The world's route tables by RDS name."""
    return {name: bind_table(cast("RouteTablePlan", compiled(message))) for name, message in world.routes.items()}


@lru_cache
def clusters(world: World) -> dict[str, ClusterPlan]:
    """The world's clusters by name."""
    return {message.name: cast("ClusterPlan", compiled(message)) for message in world.clusters}


def compiled(message: Any) -> Any:
    """The plan of an xDS resource, which this proxy must not reject."""
    outcome = compile_resource(message)
    assert isinstance(outcome, Compiled), str(outcome)
    return outcome.plan


def simulate(world: World, call: Call) -> Result:
    """The decision of Mizzen's proxy."""
    listener = listeners(world).get(call.port)
    if listener is None or not isinstance(listener.handler, HttpPlan):
        return Result("no listener")
    http = listener.handler
    table = http.route_table
    bound = tables(world)[table] if isinstance(table, str) else bind_table(table)
    return decide(bound, http, call)


def decide(table: RouteTable, http: HttpPlan, call: Call) -> Result:
    """What happens to a call behind a connection manager with this route table."""
    request = _request(call, http)
    before = table.find(request)
    refused = _refusal(http, request)
    if refused is not None:
        # Envoy's answer bears the marks of the route that it had chosen before it looked at the filters.
        return replace(refused, route=before.name if before is not None else "")
    route = table.find(request)
    explained = table.explain(request).route
    assert explained is route, f"explain() ends at {explained and explained.name}, find() at {route and route.name}"
    if route is None:
        return Result("not found")
    if route.kind == FORWARD:
        return _forward(route, request, call.point)
    headers = _edited({}, route.response_edits)
    if route.kind == REDIRECT:
        location = route.redirect_location(request).decode()
        return Result("redirect", route.name, status=route.status, location=location, response_headers=headers)
    return Result("respond", route.name, status=route.status, body=route.body.decode(), response_headers=headers)


def _refusal(http: HttpPlan, request: Request) -> Result | None:
    """What a request is answered whose token is bad, or that no policy lets in."""

    def tokens(plan: JwtPlan) -> Tokens:
        return Tokens(plan, JwtStats())

    authorization = Authorization(http.guards, AuthorizationStats(), "envoy.filters.http.rbac", tokens)
    entrant = Entrant(cast("Exchange", request), None, *["127.0.0.1:1"] * 2)
    outcome = authorization.judge(entrant, 0.0)
    if outcome is None:
        return None
    assert isinstance(outcome, Denied), "worlds of the simulation have no authorizers"
    local = outcome.local
    headers = visible(tuple(one.decode().split(": ", 1)) for one in local.lines)
    return Result("respond", status=local.status, body=local.body.decode(), response_headers=headers)


def _request(call: Call, http: HttpPlan) -> Request:
    path = call.path.encode()
    trusted = {name.lower(): value for name, value in call.headers.items() if not http.use_remote_address}
    return Request(
        method=call.method.encode(),
        path=normalize(path, http.merge_slashes) if http.normalize_path else path,
        authority=call.host.encode(),
        scheme=trusted.get("x-forwarded-proto", "http").encode(),
        head=_head(call.headers.items()),
    )


def _forward(route: Route, request: Request, point: int) -> Result:
    target = route.target((point + 0.5) / POINTS)
    path = route.rewrite_path(request.path) if route.rewrite_path else request.path
    return Result(
        "forward",
        route=route.name,
        cluster=target.cluster,
        path=path.decode(),
        authority=(target.host_rewrite or request.authority).decode(),
        request_headers=_edited(request.head.copy(), target.request_edits),
        response_headers=_edited(_head(UPSTREAM_HEADERS), target.response_edits),
    )


def _head(headers: Iterable[tuple[str, str]]) -> Head:
    return read_head([line(name.encode(), value.encode()) for name, value in headers])


def _edited(head: Head, edits: Edits | None) -> dict[str, str]:
    if edits is not None:
        edits.apply(head, NO_RECORD)
    return visible((low.decode(), (value_of(head, low) or b"").decode()) for low in head)


NO_RECORD = cast("Record", None)
"""Only formatted values read it, and what Pilot generates from these worlds has none."""
