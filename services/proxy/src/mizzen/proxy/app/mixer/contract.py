"""What the agent asks of a Mixer, be it a service behind a network or rules in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from mizzen.attributes.bag import DictBag, References
from mizzen.attributes.values import Value
from mizzen.proxy.engine.control import CheckAnswer
from mizzen.proxy.engine.mixer_plan import TransportPlan

CALL_SECONDS: Final = 5.0
"""For a check with all its repetitions, at most, and for a report."""
INVALID_ARGUMENT: Final = 3
INTERNAL: Final = 13
CHANGES: Final[Mapping[int, Literal["replace", "remove", "append"]]] = {0: "replace", 1: "remove", 2: "append"}
"""By the numbers of `istio.mixer.v1.HeaderOperation`."""


class CallFailed(Exception):
    """Mixer did not answer; `code` is a google.rpc.Code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Question:
    """One check."""

    bag: DictBag
    deduplication_id: str
    """The same when the question is repeated."""
    quotas: Mapping[str, int] = field(default_factory=dict)
    """Amounts that are asked for."""
    best_effort: bool = False
    """A part of an amount is better than nothing."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What one quota gave."""

    amount: int = 0
    seconds: float = 0.0
    """For how long; 0 when Mixer does not say."""
    references: References | None = None
    """What of the request decides who shares it; None: that cannot be told."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a question; that of the check has the serial 0."""

    answer: CheckAnswer
    grants: Mapping[str, Grant] = field(default_factory=dict)


class Batch(Protocol):
    """Reports that go to Mixer together."""

    def __len__(self) -> int:
        """How many they are."""

    def add(self, own: Mapping[str, Value], common: Mapping[str, Value], /) -> None:
        """Take one in. Raises InvalidAttributes, and is as before, for what cannot be said to this Mixer.

        No name is in both mappings; reports that share the object `common` cost less.
        """

    async def send(self) -> None:
        """Deliver all; may be tried again after CallFailed."""


class MixerClient(Protocol):
    """A Mixer, or several behind one name each. `close` in the end."""

    async def check(self, transport: TransportPlan, question: Question, /) -> Decision:
        """Judge a request; raises CallFailed."""

    def batch(self, transport: TransportPlan, /) -> Batch:
        """An empty batch."""

    async def close(self) -> None:
        """Give back what is held."""


def direct_code(code: int) -> int:
    """The status of a direct response; 0, for none, where Mixer names one that HTTP has not."""
    return code if 200 <= code <= 599 else 0
