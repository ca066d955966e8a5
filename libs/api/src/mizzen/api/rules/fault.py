"""Fault injection: delays and aborts."""

from collections.abc import Iterator

from mizzen.api.problem import Path
from mizzen.api.rules import Finding, error, warning
from mizzen.api.virtualservice import Abort, Delay, HTTPFaultInjection, Percent

LEAST_PERCENT = 0.0001
GRPC_STATUSES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip


def check_fault(fault: HTTPFaultInjection, at: Path) -> Iterator[Finding]:
    """All rules of a route's faults."""
    if fault.delay is None and fault.abort is None:
        yield error(at, "needs delay, abort or both")
    if fault.delay is not None:
        yield from _check_delay(fault.delay, (*at, "delay"))
    if fault.abort is not None:
        yield from _check_abort(fault.abort, (*at, "abort"))


def _check_delay(delay: Delay, at: Path) -> Iterator[Finding]:
    yield from _check_percentage(delay.percentage, at)
    if delay.exponential_delay is not None:
        yield error((*at, "exponentialDelay"), "is not supported; use fixedDelay")
    elif delay.fixed_delay is None:
        yield error((*at, "fixedDelay"), "is required")
    if delay.percent is not None:
        yield warning((*at, "percent"), "is deprecated; use percentage with value")


def _check_abort(abort: Abort, at: Path) -> Iterator[Finding]:
    yield from _check_percentage(abort.percentage, at)
    if abort.http2_error is not None:
        yield error((*at, "http2Error"), "is not supported; use httpStatus or grpcStatus")
    elif abort.grpc_status is not None:
        if abort.grpc_status not in GRPC_STATUSES:
            yield error((*at, "grpcStatus"), f"{abort.grpc_status!r} is not one of {', '.join(GRPC_STATUSES)}")
    elif abort.http_status is None:
        yield warning(at, "has no effect without httpStatus or grpcStatus")
    elif not 200 <= abort.http_status <= 599:
        yield error((*at, "httpStatus"), f"must be from 200 to 599, got {abort.http_status}")


def _check_percentage(percentage: Percent | None, at: Path) -> Iterator[Finding]:
    if percentage is not None and 0 < percentage.value < LEAST_PERCENT:
        yield error((*at, "percentage", "value"), f"must be 0 or at least {LEAST_PERCENT}, got {percentage.value}")
