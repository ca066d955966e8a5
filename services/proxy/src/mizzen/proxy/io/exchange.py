"""One request and its response on their way through the proxy. ★ hot: one object per request, slots only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from mizzen.proxy.codec.forwarded import client_behind
from mizzen.proxy.codec.headers import Head, value_of, values_of
from mizzen.proxy.engine.arrival import UNPROVED, Identities
from mizzen.proxy.engine.jwt.plan import FILTER as JWT_FILTER
from mizzen.proxy.engine.match_plan import PathMatch, RouteMatch
from mizzen.proxy.engine.plan import Respond, RoutePlan, RouteTablePlan, VirtualHostPlan
from mizzen.proxy.engine.request import NO_FINDINGS, NOTHING_FOUND
from mizzen.proxy.engine.route import Target, bind_route
from mizzen.proxy.io.connect import address_text

if TYPE_CHECKING:
    from mizzen.proxy.engine.check_cache import Context
    from mizzen.proxy.engine.edits import Edits
    from mizzen.proxy.engine.peer import TlsFacts
    from mizzen.proxy.engine.state import EndpointState
    from mizzen.proxy.engine.verdict import Verdict
    from mizzen.proxy.io.cluster import Cluster
    from mizzen.proxy.io.downstream_h1 import Downstream
    from mizzen.proxy.io.http_manager import HttpManager
    from mizzen.proxy.io.pool import Pool
    from mizzen.proxy.io.upstream_h1 import Upstream
    from mizzen.proxy.io.waiting import Waiting

NO_BODY: Final = 0
SIZED: Final = 1
CHUNKED: Final = 2
UNTIL_CLOSE: Final = 3
"""A response that ends with its connection."""

UNROUTED: Final = bind_route(
    RoutePlan("", RouteMatch(PathMatch("prefix", "/")), Respond(404)),
    VirtualHostPlan("", (), ()),
    RouteTablePlan("", ()),
)
"""The route of a request that has none (yet): no name, no origin, no limits."""
NO_HEAD: Final[Head] = {}
UNTARGETED: Final = Target("", b"", None, None)


class Exchange:
    """The state of one request. It is the engine's `RequestView` and, for access logs, its `Record`.

    Times are the loop's clock; 0.0 means "not yet".
    """

    __slots__ = (
        "attempts",
        "authority",
        "body_kind",
        "bytes_received",
        "bytes_sent",
        "check",
        "check_cached",
        "cluster",
        "context",
        "deadline",
        "details",
        "done",
        "downstream",
        "ended_at",
        "endpoint",
        "findings",
        "flags",
        "forwarded",
        "head",
        "http_10",
        "keep_alive",
        "manager",
        "method",
        "path",
        "pool",
        "remote_address",
        "replay",
        "request_bytes",
        "request_complete",
        "request_ended_at",
        "responded",
        "response_edits",
        "response_head",
        "response_started_at",
        "response_trailers",
        "route",
        "scheme",
        "sent_at",
        "started_at",
        "status",
        "target",
        "trailers",
        "tried",
        "upstream",
        "upstream_local_address",
        "upstream_transport_failure_reason",
        "verdict",
        "waiting_body",
    )

    manager: HttpManager
    """The connection manager as it was when the head arrived."""
    check: Waiting | None
    """The question whose answer is awaited: to Mixer, or to an authorizer."""
    response_edits: Edits | None
    """What Mixer or an authorizer wants to see in the response."""

    def __init__(self, downstream: Downstream, started_at: float) -> None:
        self.downstream = downstream
        self.started_at = started_at
        self.method = b""
        self.path = b""
        self.authority = b""
        self.scheme = b"http"
        self.head: Head = NO_HEAD
        self.findings = NO_FINDINGS
        """What filters found out of it."""
        self.http_10 = False
        self.keep_alive = True
        """The client allows another request on its connection."""
        self.body_kind = NO_BODY
        self.request_complete = False
        self.trailers: Head | None = None
        self.route = UNROUTED
        self.target = UNTARGETED
        self.cluster: Cluster | None = None
        self.endpoint: EndpointState | None = None
        self.pool: Pool | None = None
        """Where the exchange waits for a connection; None when it has one or needs none."""
        self.upstream: Upstream | None = None
        self.request_bytes = b""
        """The head as written upstream, kept for the next attempt."""
        self.replay: list[bytes] | None = None
        """The body written so far; None when there is too much of it to be sent again."""
        self.waiting_body: list[bytes] | None = None
        """Body that arrived before there was a connection."""
        self.tried: list[EndpointState] | None = None
        """Endpoints that refused a connection."""
        self.context: Context | None = None
        """What Mixer is asked and told about it; None without Mixer."""
        self.check: Waiting | None = None
        self.check_cached = False
        """Mixer need not be asked."""
        self.verdict: Verdict | None = None
        """What Mixer decided."""
        self.forwarded = b""
        """What the peer, if it may be believed, says of the client in x-istio-attributes."""
        self.attempts = 0
        self.deadline = 0.0
        """When the route's timeout ends the exchange; 0.0 for never."""
        self.status = 0
        self.responded = False
        """The response's head is on its way to the client."""
        self.response_edits: Edits | None = None
        self.response_head: Head | None = None
        self.response_trailers: Head | None = None
        self.flags = ""
        self.details = ""
        self.upstream_transport_failure_reason = ""
        self.upstream_local_address = ""
        self.remote_address = ""
        """The client behind trusted hops; "" when it is the peer."""
        self.bytes_received = 0
        self.bytes_sent = 0
        self.sent_at = self.request_ended_at = 0.0
        self.response_started_at = self.ended_at = 0.0
        self.done = False
        """Answered, or given up; nothing more is written for it."""

    def header(self, name: bytes, /) -> bytes | None:
        """The value of a request header by lower-case name, repeated ones joined by a comma."""
        return value_of(self.head, name)

    def values(self, name: bytes, /) -> Sequence[bytes]:
        """Each value of a request header by lower-case name."""
        return values_of(self.head, name)

    def metadata(self, namespace: str, /) -> Mapping[str, object]:
        """What a filter found out of the request; empty for nothing."""
        return self.findings.get(namespace, NOTHING_FOUND)

    @property
    def claims(self) -> Mapping[str, object] | None:
        """Of the user's token, if a filter verified one."""
        if self.findings is NO_FINDINGS:
            return None
        found = self.metadata(JWT_FILTER).values()
        return next((each for each in found if isinstance(each, dict) and "iss" in each), None)

    @property
    def identities(self) -> Identities:
        """What TLS tells of the connection."""
        arrival = self.downstream.arrival
        return UNPROVED if arrival is None else arrival.identities

    @property
    def client_host(self) -> bytes:
        """The client's IP address."""
        if self.remote_address:
            return self.remote_address.rpartition(":")[0].encode()
        return self.downstream.peer_host

    # -- the access log's view; read after the fact -----------------------------------------------------------------

    @property
    def request(self) -> Exchange:
        return self

    def response_header(self, name: bytes, /) -> bytes | None:
        return value_of(self.response_head, name) if self.response_head else None

    def response_trailer(self, name: bytes, /) -> bytes | None:
        return value_of(self.response_trailers, name) if self.response_trailers else None

    @property
    def protocol(self) -> str:
        return "HTTP/1.0" if self.http_10 else "HTTP/1.1"

    @property
    def start_time(self) -> float:
        return self.downstream.runtime.unix_time(self.started_at)

    @property
    def duration(self) -> float | None:
        return self.ended_at - self.started_at if self.ended_at else None

    @property
    def request_duration(self) -> float | None:
        return self.request_ended_at - self.started_at if self.request_ended_at else None

    @property
    def response_duration(self) -> float | None:
        return self.response_started_at - self.started_at if self.response_started_at else None

    @property
    def connection_termination_details(self) -> str:
        return ""

    @property
    def upstream_host(self) -> str:
        return self.endpoint.key if self.endpoint is not None else ""

    @property
    def upstream_cluster(self) -> str:
        return self.target.cluster

    @property
    def downstream_local_address(self) -> str:
        return self.downstream.local_address

    @property
    def downstream_remote_address(self) -> str:
        """Inside of the mesh whoever is before us is believed, as Envoy does."""
        behind = "" if self.manager.use_remote_address else client_behind(self.head, 1 + self.manager.trusted_hops)
        return address_text((behind, 0)) if behind else self.remote_address or self.downstream.peer_address

    @property
    def downstream_direct_remote_address(self) -> str:
        return self.downstream.peer_address

    @property
    def server_name(self) -> str:
        arrival = self.downstream.arrival
        return "" if arrival is None else arrival.server_name

    @property
    def tls(self) -> TlsFacts | None:
        arrival = self.downstream.arrival
        return None if arrival is None else arrival.tls

    @property
    def downstream_transport_failure_reason(self) -> str:
        return ""

    @property
    def route_name(self) -> str:
        return self.route.name

    @property
    def connection_id(self) -> int:
        return self.downstream.connection_id
