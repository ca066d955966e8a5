"""What a client of a proxy sees when policy says no.

Source: istio/proxy, src/istio/utils/status.cc at 1.0.9.
"""

from __future__ import annotations

from mizzen.mixer.status import Code, Status

_HTTP = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}


def http_status(code: int) -> int:
    """The HTTP status for a google.rpc code; 500 for codes that do not exist."""
    return _HTTP.get(code, 500)  # type: ignore[call-overload, no-any-return]


def body(status: Status) -> str:
    """`PERMISSION_DENIED:denyall.denier.istio-system:Not allowed`."""
    return f"{status.code.name}:{status.message}"
