"""What Mixer decided about a request, ready to be acted on."""

from __future__ import annotations

from typing import Final

from mizzen.proxy.base.flags import LocalReply
from mizzen.proxy.codec.headers import Head, add, line
from mizzen.proxy.engine.control import CheckAnswer, HeaderChange
from mizzen.proxy.engine.edits import FRAMING, Edits, is_name
from mizzen.proxy.engine.request import Record

OK: Final = 0
DEADLINE_EXCEEDED: Final = 4
RESOURCE_EXHAUSTED: Final = 8
UNAVAILABLE: Final = 14

DENIED: Final = "UAEX"
"""The flag of a request that an external service refused."""

_CODES: Final = {
    0: ("OK", 200),
    1: ("CANCELLED", 499),
    2: ("UNKNOWN", 500),
    3: ("INVALID_ARGUMENT", 400),
    4: ("DEADLINE_EXCEEDED", 504),
    5: ("NOT_FOUND", 404),
    6: ("ALREADY_EXISTS", 409),
    7: ("PERMISSION_DENIED", 403),
    8: ("RESOURCE_EXHAUSTED", 429),
    9: ("FAILED_PRECONDITION", 400),
    10: ("ABORTED", 409),
    11: ("OUT_OF_RANGE", 400),
    12: ("UNIMPLEMENTED", 501),
    13: ("INTERNAL", 500),
    14: ("UNAVAILABLE", 503),
    15: ("DATA_LOSS", 500),
    16: ("UNAUTHENTICATED", 401),
}
"""google.rpc.Code: its name, and the HTTP status that the proxy answers with."""


class Verdict:
    """An answer of Mixer, or what stands for it when there is none."""

    __slots__ = (
        "answer",
        "code",
        "direct_body",
        "direct_code",
        "expires_at",
        "message",
        "refusal",
        "request_edits",
        "response_edits",
        "used",
        "uses",
    )

    def __init__(self, answer: CheckAnswer, now: float) -> None:
        self.answer = answer
        self.code = answer.code
        self.message = f"{code_name(answer.code)}:{answer.message}"
        """As it is sent and reported."""
        self.expires_at = now + answer.valid_for
        self.uses = answer.uses
        """How often it may still be used; negative for any number."""
        self.used = False
        """It has been used since somebody last looked for what to throw away."""
        self.request_edits = bind_changes(answer.request_changes)
        self.response_edits = bind_changes(answer.response_changes)
        self.direct_code = answer.direct_code
        """Answer with this status; 0 does not."""
        self.direct_body = answer.direct_body.encode()
        self.refusal: LocalReply | None = None
        """The answer to a request that may not go on."""
        if answer.code != OK:
            body = self.message.encode("utf-8", "surrogateescape")
            self.refusal = LocalReply(DENIED, http_status(answer.code), "mixer_denied", body)


def code_name(code: int) -> str:
    """The name of a google.rpc.Code."""
    return _CODES[code][0] if code in _CODES else str(code)


def http_status(code: int) -> int:
    """What the proxy answers with."""
    return _CODES[code][1] if code in _CODES else 500


def bind_changes(changes: tuple[HeaderChange, ...]) -> Edits | None:
    """One step for all changes; None when there are none that may be made."""
    usable = tuple(
        (kind, name.lower().encode(), line(name.encode(), value.encode("utf-8", "surrogateescape")))
        for kind, name, value in changes
        if _is_editable(name, value)
    )
    return HeaderChanges(usable) if usable else None


def _is_editable(name: str, value: str) -> bool:
    low = name.lower()
    return is_name(name) and low != "host" and low not in FRAMING and not any(char in value for char in "\r\n\0")


class HeaderChanges(Edits):
    """Mixer's header operations, one after the other."""

    __slots__ = ("_changes",)

    def __init__(self, changes: tuple[tuple[str, bytes, bytes], ...]) -> None:
        self._changes = changes

    def apply(self, head: Head, record: Record, /) -> None:
        for kind, low, lines in self._changes:
            if kind == "append":
                add(head, low, lines)
            elif kind == "replace":
                head[low] = lines
            else:
                head.pop(low, None)
