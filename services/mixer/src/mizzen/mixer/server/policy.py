"""What the servers ask of the rule engine."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Protocol

from mizzen.attributes.bag import Bag
from mizzen.mixer.adapter import QuotaArgs
from mizzen.mixer.verdict import Verdict


class Policy(Protocol):
    """The rules in force; a new configuration may replace them between two calls, never during one."""

    @property
    def report_reads(self) -> Container[str] | None:
        """The attributes of which `report` may read anything now; None: all of them."""

    async def check(self, bag: Bag, quotas: Mapping[str, QuotaArgs], deduplication_id: str) -> Verdict:
        """Judge one request. Quotas are by their short name; each is told `deduplication_id` followed by that name.

        Raises PolicyError where there is no verdict.
        """

    async def report(self, bags: Sequence[Bag]) -> None:
        """Send telemetry about requests, in their order, to every handler that rules name.

        Raises PolicyError, after everything that could be sent was, when something could not.
        """


class Engine(Policy, Protocol):
    """A policy with a life: what the application starts, asks for its pages, and ends.

    What the pages show is made of dictionaries, lists, texts and numbers, for JSON.
    """

    async def load(self) -> None:
        """Read the configuration once; raises StartError where there is nothing that could be served."""

    async def watch(self) -> None:
        """Follow changes of the configuration until cancelled."""

    async def close(self) -> None:
        """Close all handlers, which flush what they hold within a bounded time."""

    async def explain(self, bag: Bag, quotas: Mapping[str, QuotaArgs]) -> Mapping[str, object]:
        """Which rules match a request, what they make of it and what each handler says."""

    def show_config(self) -> Mapping[str, object]:
        """Resources in use, and the reasons why others are not."""

    def show_handlers(self) -> Sequence[Mapping[str, object]]:
        """Handlers that run or failed to, and for which instances."""

    def show_rules(self) -> Sequence[Mapping[str, object]]:
        """Rules in the order in which they are tried, and the quarantined ones with their reason."""

    def show_attributes(self) -> Mapping[str, str]:
        """The vocabulary: types by name of attribute."""
