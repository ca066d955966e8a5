"""What the decisions read of a request and of its exchange. The I/O layer's objects satisfy these protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from mizzen.proxy.engine.peer import TlsFacts

Findings: TypeAlias = dict[str, Mapping[str, object]]
"""What filters found out of a request, by the filter's name: Envoy's dynamic metadata."""
NO_FINDINGS: Final[Findings] = {}
NOTHING_FOUND: Final[Mapping[str, object]] = {}


class RequestView(Protocol):
    """A request head, read-only."""

    @property
    def method(self) -> bytes: ...

    @property
    def path(self) -> bytes:
        """Origin form with the query, without a fragment: `/a?b=c`."""

    @property
    def authority(self) -> bytes:
        """The Host header, or the authority of an absolute-form target, as it was sent; empty when there is none."""

    @property
    def scheme(self) -> bytes:
        """`http` or `https`: x-forwarded-proto as the connection manager trusts it, else the connection's own."""

    def header(self, name: bytes, /) -> bytes | None:
        """The value of a header by lower-case name, repeated ones joined by `,`; None when absent."""

    def values(self, name: bytes, /) -> Sequence[bytes]:
        """Each value of a header by lower-case name, as often as it came."""

    def metadata(self, namespace: str, /) -> Mapping[str, object]:
        """What a filter found out, such as the claims of a token; empty for nothing."""


class Record(Protocol):
    """What access logs and header formatters can say of an exchange.

    Read only while a log line or a formatted header value is made, so properties are fine. A text that is not known
    (yet) is "", a number None where None is allowed. Addresses are `ip:port` (`[v6]:port`), times seconds.
    """

    @property
    def request(self) -> RequestView | None:
        """The request as it is forwarded; None on a TCP connection."""

    def response_header(self, name: bytes, /) -> bytes | None:
        """As RequestView.header, of the response that is sent downstream."""

    def response_trailer(self, name: bytes, /) -> bytes | None: ...

    @property
    def protocol(self) -> str:
        """`HTTP/1.1`; "" on a TCP connection."""

    @property
    def start_time(self) -> float:
        """Unix time of the request's first byte."""

    @property
    def duration(self) -> float | None:
        """From start to the last byte sent downstream."""

    @property
    def request_duration(self) -> float | None:
        """From start to the last byte of the request received."""

    @property
    def response_duration(self) -> float | None:
        """From start to the first byte of the endpoint's response."""

    @property
    def status(self) -> int:
        """The response's; 0 when none was sent."""

    @property
    def flags(self) -> str:
        """Response flags joined by `,` (mizzen.proxy.base.flags)."""

    @property
    def details(self) -> str:
        """Why this response: `via_upstream`, `route_not_found`, ..."""

    @property
    def connection_termination_details(self) -> str: ...

    @property
    def bytes_received(self) -> int:
        """Of the request's body."""

    @property
    def bytes_sent(self) -> int:
        """Of the response's body."""

    @property
    def upstream_host(self) -> str:
        """Address of the chosen endpoint."""

    @property
    def upstream_local_address(self) -> str: ...

    @property
    def upstream_cluster(self) -> str: ...

    @property
    def upstream_transport_failure_reason(self) -> str: ...

    @property
    def attempts(self) -> int:
        """How often the request was sent upstream."""

    @property
    def downstream_local_address(self) -> str: ...

    @property
    def downstream_remote_address(self) -> str:
        """The client, which behind trusted hops is not the peer."""

    @property
    def downstream_direct_remote_address(self) -> str:
        """The peer of the downstream connection."""

    @property
    def server_name(self) -> str:
        """SNI of the downstream connection."""

    @property
    def tls(self) -> TlsFacts | None:
        """Of the downstream connection; None in plain text."""

    @property
    def downstream_transport_failure_reason(self) -> str:
        """Why TLS of the downstream connection failed."""

    @property
    def route_name(self) -> str: ...

    @property
    def connection_id(self) -> int: ...
