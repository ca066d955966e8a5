"""What questions to authorizers have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mizzen.proxy.engine.control import InquiredRequest
from mizzen.proxy.engine.ext_authz_plan import ExtAuthzPlan
from mizzen.proxy.engine.match import bind_string
from mizzen.proxy.engine.match_plan import StringMatch

PARTIAL_BODY = "x-envoy-auth-partial-body"
"""Says whether the body in the question was cut."""


class NoVerdict(Exception):
    """The authorizer was not reached, or did not answer as it should; the text says how."""


def lines(request: InquiredRequest) -> Iterator[tuple[str, str]]:
    """Headers by lower-case names, as they came; Host is the authority's affair."""
    for line in request.head.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        low = name.decode("latin-1").lower()
        if colon and low != "host":
            yield low, value.strip(b" \t").decode("utf-8", "surrogateescape")


def is_shown(plan: ExtAuthzPlan, name: str) -> bool | None:
    """Whether the authorizer is to see a header: None where the configuration leaves it open."""
    if matches(plan.disallowed_headers, name):
        return False
    return None if plan.allowed_headers is None else matches(plan.allowed_headers, name)


def matches(patterns: Iterable[StringMatch], name: str) -> bool:
    """Whether one of the patterns is the header's."""
    return any(bind_string(pattern)(name.encode("latin-1", "replace")) for pattern in patterns)
