"""VirtualService: how requests for some hosts are routed."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from mizzen.api.types import (
    Base64,
    Bool,
    Duration,
    EditedHeader,
    HeaderName,
    Host,
    HostOrAddress,
    Int32,
    MatchedHeader,
    Model,
    Number,
    Port,
    PortSelector,
    Regex,
    RegexOrStar,
    Subnet,
    UInt32,
)


class Destination(Model):
    """A service, optionally one subset and one port of it."""

    host: Host
    subset: str = ""
    port: PortSelector | None = None


class Percent(Model):
    """A share from 0 to 100, decimals allowed."""

    value: Annotated[Number, Field(ge=0, le=100)] = 0.0


class StringMatch(Model):
    """A test of a text; regex means a full match by RE2. None of the three set: the text only has to be there."""

    one_of = (("exact", "prefix", "regex"),)

    exact: str | None = None
    prefix: str | None = None
    regex: Regex | None = None


class WithoutHeaderMatch(StringMatch):
    """A test that a header must fail. The regex `*`, which RE2 would refuse, stands for any value."""

    regex: RegexOrStar | None = None


class HTTPMatchRequest(Model):
    """Conditions that a request must all meet."""

    name: str = ""
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: dict[MatchedHeader, StringMatch] = Field(default_factory=dict)
    without_headers: dict[MatchedHeader, WithoutHeaderMatch] = Field(default_factory=dict)
    query_params: dict[str, StringMatch] = Field(default_factory=dict)
    port: Port | None = None
    source_labels: dict[str, str] = Field(default_factory=dict)
    source_namespace: str = ""
    gateways: tuple[str, ...] = ()
    ignore_uri_case: Bool = False
    stat_prefix: str = ""


class HeaderOperations(Model):
    """Edits of a header list: set replaces, add appends, remove deletes."""

    set: dict[EditedHeader, str] = Field(default_factory=dict)
    add: dict[EditedHeader, str] = Field(default_factory=dict)
    remove: tuple[HeaderName, ...] = ()


class Headers(Model):
    """Header edits on the way to the destination and back."""

    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class HTTPRouteDestination(Model):
    """A destination and its share of the requests. Without weight it must be the route's only destination."""

    destination: Destination
    weight: Annotated[Int32, Field(ge=0)] | None = None
    headers: Headers | None = None


class RouteDestination(Model):
    """A destination and its share of the connections (TLS and TCP routes)."""

    destination: Destination
    weight: Annotated[Int32, Field(ge=0)] | None = None


class RedirectPortSelection(StrEnum):
    """Where a redirect's port comes from."""

    FROM_PROTOCOL_DEFAULT = "FROM_PROTOCOL_DEFAULT"
    FROM_REQUEST_PORT = "FROM_REQUEST_PORT"


class HTTPRedirect(Model):
    """Answer with a redirect; what is unset is taken from the request. The code is 301 when unset."""

    one_of = (("port", "derive_port"),)

    uri: str = ""
    prefix_rewrite: str = ""
    authority: str = ""
    port: Port | None = None
    derive_port: RedirectPortSelection | None = None
    scheme: str = ""
    redirect_code: UInt32 | None = None


class HTTPBody(Model):
    """A body as text or as base64."""

    one_of = (("string", "bytes"),)

    string: str | None = None
    bytes: Base64 | None = None


class HTTPDirectResponse(Model):
    """Answer without asking any destination."""

    status: UInt32
    body: HTTPBody | None = None


class Delegate(Model):
    """Another VirtualService that continues this route; the namespace is the root's own when unset."""

    name: str = ""
    namespace: str = ""


class RegexRewrite(Model):
    r"""Replace what `match` finds in the path by `rewrite`, where `\1` is the first group."""

    match: Regex | None = None
    rewrite: str = ""


class HTTPRewrite(Model):
    """Change the path or the authority before forwarding; uri replaces the matched prefix."""

    uri: str = ""
    authority: str = ""
    uri_regex_rewrite: RegexRewrite | None = None


class HTTPRetry(Model):
    """Try a failed request again, `attempts` times at most."""

    attempts: Annotated[Int32, Field(ge=0)] = 0
    per_try_timeout: Duration | None = None
    retry_on: str = ""
    retry_remote_localities: Bool | None = None
    retry_ignore_previous_hosts: Bool | None = None
    backoff: Duration | None = None


class Delay(Model):
    """Hold a share of the requests back."""

    one_of = (("fixed_delay", "exponential_delay"),)

    fixed_delay: Duration | None = None
    exponential_delay: Duration | None = None
    percentage: Percent | None = None
    percent: Annotated[Int32, Field(ge=0, le=100)] | None = None
    """Deprecated by `percentage`."""


class Abort(Model):
    """Answer a share of the requests with an error."""

    one_of = (("http_status", "grpc_status", "http2_error"),)

    http_status: Int32 | None = None
    grpc_status: str | None = None
    http2_error: str | None = None
    percentage: Percent | None = None


class HTTPFaultInjection(Model):
    """Faults on purpose, to test how callers cope."""

    delay: Delay | None = None
    abort: Abort | None = None


class HTTPMirrorPolicy(Model):
    """Send a copy of a share of the requests (all when unset) to another destination; its answers are dropped."""

    destination: Destination
    percentage: Percent | None = None


class UnmatchedPreflights(StrEnum):
    """What happens to preflight requests of origins that are not allowed."""

    UNSPECIFIED = "UNSPECIFIED"
    FORWARD = "FORWARD"
    IGNORE = "IGNORE"


class CorsPolicy(Model):
    """Cross-origin resource sharing."""

    allow_origins: tuple[StringMatch, ...] = ()
    allow_origin: tuple[str, ...] = ()
    """Deprecated by `allow_origins`."""
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[HeaderName, ...] = ()
    expose_headers: tuple[HeaderName, ...] = ()
    max_age: Duration | None = None
    allow_credentials: Bool | None = None
    unmatched_preflights: UnmatchedPreflights = UnmatchedPreflights.UNSPECIFIED


class HTTPRoute(Model):
    """One rule: the first whose match holds (no match: every request) decides."""

    name: str = ""
    match: tuple[HTTPMatchRequest, ...] = ()
    route: tuple[HTTPRouteDestination, ...] = ()
    redirect: HTTPRedirect | None = None
    direct_response: HTTPDirectResponse | None = None
    delegate: Delegate | None = None
    rewrite: HTTPRewrite | None = None
    timeout: Duration | None = None
    retries: HTTPRetry | None = None
    fault: HTTPFaultInjection | None = None
    mirror: Destination | None = None
    mirrors: tuple[HTTPMirrorPolicy, ...] = ()
    mirror_percentage: Percent | None = None
    mirror_percent: Annotated[UInt32, Field(le=100)] | None = None
    """Deprecated by `mirror_percentage`."""
    cors_policy: CorsPolicy | None = None
    headers: Headers | None = None


class TLSMatchAttributes(Model):
    """Conditions on a TLS connection that is not terminated."""

    sni_hosts: tuple[Host, ...]
    destination_subnets: tuple[Subnet, ...] = ()
    port: Port | None = None
    source_labels: dict[str, str] = Field(default_factory=dict)
    gateways: tuple[str, ...] = ()
    source_namespace: str = ""


class TLSRoute(Model):
    """Routes TLS connections by the name that the client asks for (SNI)."""

    match: tuple[TLSMatchAttributes, ...]
    route: tuple[RouteDestination, ...] = ()


class L4MatchAttributes(Model):
    """Conditions on a TCP connection."""

    destination_subnets: tuple[Subnet, ...] = ()
    port: Port | None = None
    source_subnet: Subnet | None = None
    source_labels: dict[str, str] = Field(default_factory=dict)
    gateways: tuple[str, ...] = ()
    source_namespace: str = ""


class TCPRoute(Model):
    """Routes TCP connections."""

    match: tuple[L4MatchAttributes, ...] = ()
    route: tuple[RouteDestination, ...] = ()


class VirtualService(Model):
    """How requests for `hosts`, arriving in the mesh or at `gateways`, are routed."""

    hosts: tuple[HostOrAddress, ...] = ()
    gateways: tuple[str, ...] = ()
    http: tuple[HTTPRoute, ...] = ()
    tls: tuple[TLSRoute, ...] = ()
    tcp: tuple[TCPRoute, ...] = ()
    export_to: tuple[str, ...] = ()
