"""What the servers ask of the rule engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from mizzen.attributes.bag import Bag
from mizzen.mixer.adapter import QuotaArgs
from mizzen.mixer.verdict import Verdict


class Policy(Protocol):
    """The rules in force; a new configuration may replace them between two calls, never during one."""

    async def check(self, bag: Bag, quotas: Mapping[str, QuotaArgs], deduplication_id: str) -> Verdict:
        """Judge one request. Quotas are by their short name; each is told `deduplication_id` followed by that name.

        Raises PolicyError where there is no verdict.
        """

    async def report(self, bags: Sequence[Bag]) -> None:
        """Send telemetry about requests, in their order, to every handler that rules name.

        Raises PolicyError, after everything that could be sent was, when something could not.
        """
