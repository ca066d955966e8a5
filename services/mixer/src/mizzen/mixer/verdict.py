"""What policy says about one request, before it has a form on a wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum

from mizzen.attributes.bag import References
from mizzen.mixer.adapter import QuotaResult
from mizzen.mixer.status import OK, Status

# Where no adapter has an opinion on caching.
DEFAULT_DURATION = timedelta(minutes=1)
DEFAULT_USES = 10_000


class HeaderAction(IntEnum):
    """What to do with a header; numbers as in `istio.mixer.v1.HeaderOperation`."""

    REPLACE = 0
    REMOVE = 1
    APPEND = 2


@dataclass(frozen=True, slots=True)
class HeaderOperation:
    """One edit of a message's headers; a removal has no value."""

    name: str
    value: str = ""
    action: HeaderAction = HeaderAction.REPLACE


@dataclass(frozen=True, slots=True)
class Allotment:
    """What one quota gave, and what that was read from (the reads while attributes were generated are among them)."""

    result: QuotaResult
    referenced: References = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """May a request go on, for how long that can be repeated without asking, and what else is to be done with it.

    The message of a status that is not OK is what the caller sees. Quotas are there only where the status is OK, one
    for each that was asked for.
    """

    status: Status = OK
    valid_duration: timedelta = DEFAULT_DURATION
    valid_use_count: int = DEFAULT_USES
    referenced: References = field(default_factory=dict)
    quotas: Mapping[str, Allotment] = field(default_factory=dict)
    request_headers: tuple[HeaderOperation, ...] = ()
    response_headers: tuple[HeaderOperation, ...] = ()
    direct_response_code: int = 0
    """Where not 0 and the status is OK, the proxy answers with this HTTP status itself."""
    direct_response_body: str = ""


class PolicyError(Exception):
    """Policy could not be evaluated (a handler failed, an instance could not be built): there is no verdict.

    The message is for the caller; a server answers with INTERNAL to a check, with UNKNOWN to a report.
    """
