"""Plans: the immutable configuration that the agent compiles from xDS and the workers run.

A plan is a picklable value that is replaced as a whole. State that outlives it (connections, counters) is kept
elsewhere, keyed by the plan's name. Texts are `str` here; the workers encode what they compare with bytes when they
bind a plan. Durations are seconds; 0 means "no limit" unless a field says otherwise.

`origin` names the user's object a plan came from ("VirtualService default/reviews"), for answers and `mizzen explain`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from mizzen.proxy.engine.ext_authz_plan import ExtAuthzPlan
from mizzen.proxy.engine.jwt.plan import JwtPlan
from mizzen.proxy.engine.match_plan import RouteMatch
from mizzen.proxy.engine.mixer_plan import MixerPlan, ServicePlan, TcpMixerPlan
from mizzen.proxy.engine.rbac_plan import RbacPlan
from mizzen.proxy.engine.tls_plan import PLAINTEXT, SecretPlan, ServerTlsPlan, SocketsPlan

# -- routes ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeaderEdits:
    """Header operations, applied in this order: remove, set (overwrite), add (append). Names keep their case."""

    remove: tuple[str, ...] = ()
    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()


NO_EDITS = HeaderEdits()


@dataclass(frozen=True, slots=True)
class WeightedCluster:
    """One destination of a route."""

    cluster: str
    weight: int = 1
    request_edits: HeaderEdits = NO_EDITS
    response_edits: HeaderEdits = NO_EDITS
    host_rewrite: str = ""
    mixer: ServicePlan | None = None
    """What the filter `mixer` does for requests that go here; only where the route itself says nothing."""


@dataclass(frozen=True, slots=True)
class Forward:
    """Send the request to one of `clusters`, chosen by weight."""

    clusters: tuple[WeightedCluster, ...]
    timeout: float = 0.0
    prefix_rewrite: str = ""
    """Replaces the matched prefix, or the whole path of an exact or regex match."""
    regex_rewrite: tuple[str, str] | None = None
    """(RE2 pattern, substitution with \\1)."""
    host_rewrite: str = ""
    retry_connect_failures: int = 0
    """How many times a request that has not reached an endpoint is sent to another one."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """Answer with a redirect; an empty field keeps that part of the request's URL."""

    code: int = 301
    scheme: str = ""
    host: str = ""
    port: int = 0
    path: str = ""
    prefix: str = ""
    """Replaces the matched prefix (RouteAction.prefix_rewrite)."""
    https: bool = False
    strip_query: bool = False


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer directly."""

    status: int
    body: bytes = b""


Action: TypeAlias = Forward | Redirect | Respond


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """One route of a virtual host; the first that matches wins."""

    name: str
    match: RouteMatch
    action: Action
    request_edits: HeaderEdits = NO_EDITS
    response_edits: HeaderEdits = NO_EDITS
    origin: str = ""
    mixer: ServicePlan | None = None
    """What the filter `mixer` does for this route; None leaves it to the filter's default."""


@dataclass(frozen=True, slots=True)
class VirtualHostPlan:
    """Routes for some domains: exact, `*.suffix`, `prefix.*`, or `*`; lower case."""

    name: str
    domains: tuple[str, ...]
    routes: tuple[RoutePlan, ...]
    request_edits: HeaderEdits = NO_EDITS
    response_edits: HeaderEdits = NO_EDITS
    require_tls: bool = False
    """Plaintext requests are redirected to https."""
    include_attempt_count: bool = False


@dataclass(frozen=True, slots=True)
class RouteTablePlan:
    """A RouteConfiguration."""

    name: str
    hosts: tuple[VirtualHostPlan, ...]
    request_edits: HeaderEdits = NO_EDITS
    response_edits: HeaderEdits = NO_EDITS
    ignore_port: bool = False
    """The port in the Host header takes no part in choosing the virtual host."""


# -- listeners ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AccessLogPlan:
    """A file access log. `json` is a tuple of (key, format) pairs in output order; else `text` is the format line."""

    path: str
    text: str = ""
    json: tuple[tuple[str, str], ...] = ()


ClientCertMode: TypeAlias = Literal["sanitize", "forward_only", "append_forward", "sanitize_set", "always_forward_only"]


@dataclass(frozen=True, slots=True)
class ClientCertPlan:
    """What becomes of x-forwarded-client-cert."""

    mode: ClientCertMode = "sanitize"
    cert: bool = False
    """All of the certificate, in PEM."""
    subject: bool = False
    uri: bool = False
    dns: bool = False


GuardPlan: TypeAlias = RbacPlan | ExtAuthzPlan | JwtPlan
"""A filter that keeps requests or connections out."""
EscapedSlashes: TypeAlias = Literal["keep", "refuse", "unescape"]
"""What becomes of `%2F` and `%5C` in a path, before everything else."""


@dataclass(frozen=True, slots=True)
class HttpPlan:
    """An HttpConnectionManager."""

    stat_prefix: str
    route_table: RouteTablePlan | str
    """The table itself, or its RDS name."""
    server_name: str = "envoy"
    via: str = ""
    """What is added to `via` of requests and responses; empty for nothing."""
    tells_reasons: bool = False
    """Answers of the proxy's own say why in x-mesh-reason, with names of the configuration."""
    use_remote_address: bool = False
    """An edge: the peer's address is the client's; x-forwarded-for is appended, x-request-id is made anew."""
    trusted_hops: int = 0
    generate_request_id: bool = True
    normalize_path: bool = False
    merge_slashes: bool = False
    escaped_slashes: EscapedSlashes = "keep"
    idle_timeout: float = 3600.0
    headers_timeout: float = 10.0
    stream_idle_timeout: float = 300.0
    max_request_headers: int = 60 * 1024
    max_requests_per_connection: int = 0
    access_logs: tuple[AccessLogPlan, ...] = ()
    accept_http_10: bool = False
    mixer: MixerPlan | None = None
    guards: tuple[GuardPlan, ...] = ()
    """Who may come in: asked in this order before anything else."""
    client_cert: ClientCertPlan = ClientCertPlan()


@dataclass(frozen=True, slots=True)
class TcpPlan:
    """A tcp_proxy filter."""

    stat_prefix: str
    clusters: tuple[WeightedCluster, ...]
    idle_timeout: float = 3600.0
    access_logs: tuple[AccessLogPlan, ...] = ()
    origin: str = ""
    mixer: TcpMixerPlan | None = None
    guards: tuple[GuardPlan, ...] = ()
    """Who may connect."""
    by_server_name: bool = False
    """The server name that a client asks for is the name of the cluster (filter sni_cluster); without one, as above."""
    is_http2: bool = False
    """The bytes are HTTP/2, which clients in TLS may be told."""


@dataclass(frozen=True, slots=True)
class RefusePlan:
    """A filter chain that this proxy cannot serve: connections that it takes are closed, and `reason` says why."""

    reason: str


@dataclass(frozen=True, slots=True)
class ChainMatch:
    """envoy.config.listener.v3.FilterChainMatch; what is empty matches everything. Ranges are CIDR."""

    port: int = 0
    """Of the destination, which of captured connections is the original one."""
    destinations: tuple[str, ...] = ()
    server_names: tuple[str, ...] = ()
    """SNI, lower case: exact or `*.suffix`."""
    transport: str = ""
    """`raw_buffer` or `tls`."""
    protocols: tuple[str, ...] = ()
    """ALPN, or what plaintext was recognised as: `http/1.0`, `http/1.1`, `h2c`."""
    direct_sources: tuple[str, ...] = ()
    source_type: Literal["any", "local", "external"] = "any"
    sources: tuple[str, ...] = ()
    source_ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ChainPlan:
    """A filter chain: what it takes, and what becomes of that."""

    name: str
    match: ChainMatch
    handler: HttpPlan | TcpPlan | RefusePlan
    tls: ServerTlsPlan | None = None
    """Connections are TLS, which ends here; None: the bytes are handled as they are."""


@dataclass(frozen=True, slots=True)
class ChoicePlan:
    """Several filter chains, of which each connection takes the one that matches it best."""

    chains: tuple[ChainPlan, ...]
    default: HttpPlan | TcpPlan | RefusePlan | None = None
    """Takes what no chain matches; None closes it."""
    default_tls: ServerTlsPlan | None = None


PortRanges: TypeAlias = tuple[tuple[int, int], ...]
"""Half-open, ascending: ((80, 81), (8080, 8090))."""


@dataclass(frozen=True, slots=True)
class SniffPlan:
    """What the first bytes of a connection are looked at for, before its filter chain is chosen."""

    tls: PortRanges = ()
    """Destination ports of which a TLS ClientHello may come (tls_inspector)."""
    http: PortRanges = ()
    """Destination ports of which HTTP may come (http_inspector)."""
    timeout: float = 15.0
    go_on: bool = False
    """When the time is over, choose by what is known; else close (continue_on_listener_filters_timeout)."""


@dataclass(frozen=True, slots=True)
class ListenerPlan:
    """One address, bound or only handed connections, and what is spoken there."""

    name: str
    address: str
    port: int
    direction: Literal["inbound", "outbound", "unspecified"]
    handler: HttpPlan | TcpPlan | ChoicePlan
    buffer_limit: int = 1024 * 1024
    """Bytes held for a slow peer before reading from the other one pauses (per_connection_buffer_limit_bytes)."""
    more_addresses: tuple[tuple[str, int], ...] = ()
    bound: bool = True
    """It has sockets; else it is there for connections that another listener hands off."""
    hands_off: bool = False
    """Gives a redirected connection to the listener of its original destination (use_original_dst)."""
    restores: bool = False
    """Asks for the original destination of its connections (listener filter original_dst)."""
    transparent: bool = False
    """May capture by TPROXY, where the socket's own name is the original destination."""
    sniff: SniffPlan | None = None
    socket_options: tuple[tuple[int, int, bytes], ...] = ()
    """(level, option, value), set before the socket is bound."""
    access_logs: tuple[AccessLogPlan, ...] = ()
    """For connections that no filter chain takes."""

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """All of them, the first one first."""
        return (self.address, self.port), *self.more_addresses

    @property
    def sockets(self) -> dict[str, tuple[str, int]]:
        """The listening sockets it needs, by the names they travel under."""
        if not self.bound:
            return {}
        more = {f"{self.name} {host} {port}": (host, port) for host, port in self.more_addresses}
        return {self.name: (self.address, self.port)} | more

    @property
    def handlers(self) -> tuple[HttpPlan | TcpPlan | RefusePlan, ...]:
        """Of all filter chains."""
        if not isinstance(self.handler, ChoicePlan):
            return (self.handler,)
        found = tuple(chain.handler for chain in self.handler.chains)
        return found if self.handler.default is None else (*found, self.handler.default)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of all secrets that its filter chains need."""
        if not isinstance(self.handler, ChoicePlan):
            return ()
        plans = (*(chain.tls for chain in self.handler.chains), self.handler.default_tls)
        return tuple(dict.fromkeys(name for plan in plans if plan is not None for name in plan.common.secrets))


# -- clusters -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EndpointPlan:
    """One address of a cluster. `address` is an IP, or a name in a DNS cluster."""

    address: str
    port: int
    weight: int = 1
    priority: int = 0
    healthy: bool = True
    locality: str = ""
    workload: str = ""
    """`<workload>;<namespace>;<canonical name>;<canonical revision>;<cluster>`, as far as Pilot knows."""
    says: frozenset[tuple[str, str]] = frozenset()
    """What it says of itself, by which the way to speak to it is chosen (envoy.transport_socket_match)."""


@dataclass(frozen=True, slots=True)
class EndpointSetPlan:
    """A ClusterLoadAssignment; `name` is the EDS service name."""

    name: str
    endpoints: tuple[EndpointPlan, ...]


@dataclass(frozen=True, slots=True)
class DestinationPlan:
    """How a cluster of type ORIGINAL_DST finds its endpoints."""

    header: str = ""
    """Lower-case name of the header that may name the destination; empty for none."""
    port: int = 0
    """In place of the destination's own; 0 keeps that."""
    cleanup_interval: float = 5.0
    """Seconds after which endpoints that nobody used are forgotten."""


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """An upstream cluster."""

    name: str
    discovery: Literal["static", "eds", "dns", "original_dst"]
    balancer: Literal["round_robin", "random", "least_request"] = "round_robin"
    choice_count: int = 2
    """least_request: how many random endpoints are compared."""
    endpoint_set: EndpointSetPlan | str = ""
    """The set itself, or its EDS name."""
    panic_threshold: float = 50.0
    """Below this percentage of healthy endpoints health is ignored (common_lb_config.healthy_panic_threshold)."""
    connect_timeout: float = 10.0
    idle_timeout: float = 3600.0
    max_requests_per_connection: int = 0
    dns_refresh: float = 60.0
    http2: bool = False
    """The endpoints want HTTP/2; this proxy refuses the requests until it speaks it, or carries them as bytes."""
    sources: tuple[str, ...] = ()
    """Addresses to connect from: the first of the endpoint's family (upstream_bind_config)."""
    destination: DestinationPlan = DestinationPlan()
    sockets: SocketsPlan = PLAINTEXT
    service: tuple[str, str, str] = ("", "", "")
    """Host, name and namespace of the service that it belongs to."""
    origin: str = ""


Plan: TypeAlias = ListenerPlan | RouteTablePlan | ClusterPlan | EndpointSetPlan | SecretPlan
PlanKind: TypeAlias = Literal["listener", "route_table", "cluster", "endpoint_set", "secret"]
