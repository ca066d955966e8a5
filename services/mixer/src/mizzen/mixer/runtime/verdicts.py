"""The results of handlers combined to one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from mizzen.mixer.adapter import CheckResult
from mizzen.mixer.status import OK, Code, Status
from mizzen.mixer.verdict import DEFAULT_DURATION, DEFAULT_USES

_NEVER = timedelta()


@dataclass(frozen=True, slots=True)
class Combined:
    """What all handlers together say of a request."""

    status: Status
    valid_duration: timedelta
    valid_use_count: int


ALLOWED = Combined(OK, DEFAULT_DURATION, DEFAULT_USES)
"""Where no handler has an opinion."""


def combine(results: Iterable[tuple[str, CheckResult]]) -> Combined:
    """Results with their handlers' titles, in the order of rules.

    The code is that of the first refusal, the message all of them; what holds for the shortest time and the fewest
    uses decides. Who allows without an opinion on caching is left out: in Istio that depends on who answers first.
    """
    duration: timedelta | None = None
    uses = 0
    code = Code.OK
    messages: list[str] = []
    for title, result in results:
        allows = result.status.code is Code.OK
        if allows and result.valid_duration == _NEVER and not result.valid_use_count:
            continue
        if duration is None:
            duration, uses = result.valid_duration, result.valid_use_count
        else:
            duration, uses = min(duration, result.valid_duration), min(uses, result.valid_use_count)
        if not allows:
            code = code or result.status.code
            messages.append(f"{title}:{result.status.message}")
    if duration is None:
        return ALLOWED
    return Combined(Status(code, ", ".join(messages)) if messages else OK, duration, uses)
