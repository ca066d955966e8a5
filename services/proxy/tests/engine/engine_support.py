"""A request and a record as plain values, and short forms of plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mizzen.proxy.engine.match_plan import PathMatch, RouteMatch
from mizzen.proxy.engine.peer import TlsFacts
from mizzen.proxy.engine.plan import (
    EndpointPlan,
    EndpointSetPlan,
    Forward,
    RoutePlan,
    RouteTablePlan,
    VirtualHostPlan,
    WeightedCluster,
)


@dataclass
class Request:
    """Satisfies RequestView."""

    path: bytes = b"/"
    authority: bytes = b"host.test"
    method: bytes = b"GET"
    scheme: bytes = b"http"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    findings: dict[str, Mapping[str, object]] = field(default_factory=dict)

    def header(self, name: bytes, /) -> bytes | None:
        values = self.values(name)
        return b",".join(values) if values else None

    def values(self, name: bytes, /) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name]

    def metadata(self, namespace: str, /) -> Mapping[str, object]:
        return self.findings.get(namespace, {})


@dataclass
class Exchange:
    """Satisfies Record."""

    request: Request | None = field(default_factory=Request)
    response_headers: dict[bytes, bytes] = field(default_factory=dict)
    response_trailers: dict[bytes, bytes] = field(default_factory=dict)
    protocol: str = "HTTP/1.1"
    start_time: float = 1795377615.502278
    duration: float | None = 0.0125
    request_duration: float | None = 0.001
    response_duration: float | None = 0.010
    status: int = 200
    flags: str = ""
    details: str = "via_upstream"
    connection_termination_details: str = ""
    bytes_received: int = 0
    bytes_sent: int = 407
    upstream_host: str = "127.2.0.3:9080"
    upstream_local_address: str = "127.0.0.1:60958"
    upstream_cluster: str = "outbound|9080||reviews"
    upstream_transport_failure_reason: str = ""
    attempts: int = 1
    downstream_local_address: str = "127.1.0.1:15007"
    downstream_remote_address: str = "127.0.0.1:50000"
    downstream_direct_remote_address: str = "[::1]:50001"
    server_name: str = ""
    tls: TlsFacts | None = None
    downstream_transport_failure_reason: str = ""
    route_name: str = ""
    connection_id: int = 7

    def response_header(self, name: bytes, /) -> bytes | None:
        return self.response_headers.get(name)

    def response_trailer(self, name: bytes, /) -> bytes | None:
        return self.response_trailers.get(name)


def forward(*clusters: str) -> Forward:
    return Forward(tuple(WeightedCluster(cluster) for cluster in clusters))


def prefix_route(prefix: str = "/", name: str = "r", action: object = None) -> RoutePlan:
    return RoutePlan(name, RouteMatch(PathMatch("prefix", prefix)), action or forward("up"))  # type: ignore[arg-type]


def host(name: str, *domains: str, routes: tuple[RoutePlan, ...] = (), **fields: object) -> VirtualHostPlan:
    return VirtualHostPlan(name, domains, routes or (prefix_route(name=name),), **fields)  # type: ignore[arg-type]


def table(*hosts: VirtualHostPlan, **fields: object) -> RouteTablePlan:
    return RouteTablePlan("table", hosts, **fields)  # type: ignore[arg-type]


def endpoints(*addresses: str, **fields: int) -> EndpointSetPlan:
    return EndpointSetPlan("set", tuple(EndpointPlan(address, 80, **fields) for address in addresses))
