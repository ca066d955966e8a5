"""What the proxy says when it answers itself: Envoy's response flags, details and bodies.

A request may carry several flags; they are joined by "," (`UF,URX`). Flags, details and bodies are Envoy's, so that
its documentation, dashboards and log parsers hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DOWNSTREAM_CONNECTION_TERMINATION: Final = "DC"
DOWNSTREAM_PROTOCOL_ERROR: Final = "DPE"
NO_CLUSTER_FOUND: Final = "NC"
NO_ROUTE_FOUND: Final = "NR"
STREAM_IDLE_TIMEOUT: Final = "SI"
UPSTREAM_CONNECTION_TERMINATION: Final = "UC"
UPSTREAM_CONNECTION_FAILURE: Final = "UF"
NO_HEALTHY_UPSTREAM: Final = "UH"
UPSTREAM_OVERFLOW: Final = "UO"
UPSTREAM_PROTOCOL_ERROR: Final = "UPE"
UPSTREAM_RETRY_LIMIT_EXCEEDED: Final = "URX"
UPSTREAM_REQUEST_TIMEOUT: Final = "UT"

VIA_UPSTREAM: Final = "via_upstream"
"""The details of a response that an endpoint made."""
DOWNSTREAM_REMOTE_DISCONNECT: Final = "downstream_remote_disconnect"
"""The details of a request whose client went away before the response ended."""


@dataclass(frozen=True, slots=True)
class LocalReply:
    """A response of the proxy's own: flag ("" for none), status, %RESPONSE_CODE_DETAILS%, body and further headers."""

    flag: str
    status: int
    details: str
    body: bytes = b""
    lines: tuple[bytes, ...] = ()
    """Headers, each with a name of its own."""


NO_ROUTE: Final = LocalReply(NO_ROUTE_FOUND, 404, "route_not_found")
NO_CLUSTER: Final = LocalReply(NO_CLUSTER_FOUND, 503, "cluster_not_found")
NO_ENDPOINT: Final = LocalReply(NO_HEALTHY_UPSTREAM, 503, "no_healthy_upstream", b"no healthy upstream")
REQUEST_TIMEOUT: Final = LocalReply(UPSTREAM_REQUEST_TIMEOUT, 504, "response_timeout", b"upstream request timeout")
IDLE_TIMEOUT: Final = LocalReply(STREAM_IDLE_TIMEOUT, 408, "stream_idle_timeout", b"stream timeout")
HEADERS_TIMEOUT: Final = LocalReply("", 408, "request_header_timeout", b"request header timeout")
CODEC_ERROR: Final = LocalReply(DOWNSTREAM_PROTOCOL_ERROR, 400, "http1.codec_error", b"Bad Request")
HEADERS_TOO_LARGE: Final = LocalReply(DOWNSTREAM_PROTOCOL_ERROR, 431, "request_headers_too_large")
LOW_VERSION: Final = LocalReply("", 426, "low_version")
UPGRADE_REFUSED: Final = LocalReply("", 403, "upgrade_failed")
MISSING_HOST: Final = LocalReply("", 400, "missing_host_header")
PENDING_OVERFLOW: Final = LocalReply(
    UPSTREAM_OVERFLOW,
    503,
    "upstream_reset_before_response_started{overflow}",
    b"upstream connect error or disconnect/reset before headers. reset reason: overflow",
)
UPSTREAM_CODEC_ERROR: Final = LocalReply(
    UPSTREAM_PROTOCOL_ERROR,
    502,
    "upstream_reset_before_response_started{protocol_error}",
    b"upstream connect error or disconnect/reset before headers. reset reason: protocol error",
)


def connect_failure(reason: str) -> LocalReply:
    """No connection to the endpoint; `reason` is the transport's ("delayed connect error: Connection refused")."""
    return _reset(UPSTREAM_CONNECTION_FAILURE, "remote connection failure", reason)


def connect_timeout() -> LocalReply:
    """The endpoint did not accept within the cluster's connect timeout."""
    return _reset(UPSTREAM_CONNECTION_FAILURE, "connection timeout", "")


def connection_termination() -> LocalReply:
    """The endpoint closed the connection before it answered."""
    return _reset(UPSTREAM_CONNECTION_TERMINATION, "connection termination", "")


def _reset(flag: str, reason: str, transport: str) -> LocalReply:
    """A stream that was reset before its response; the transport's reason goes to the details only, as in Envoy."""
    body = f"upstream connect error or disconnect/reset before headers. reset reason: {reason}"
    inner = f"{reason}|{transport}" if transport else reason
    details = f"upstream_reset_before_response_started{{{without_blanks(inner)}}}"
    return LocalReply(flag, 503, details, body.encode())


def without_blanks(text: str) -> str:
    """How access logs show reasons: `delayed_connect_error:_Connection_refused`."""
    return text.replace(" ", "_")
