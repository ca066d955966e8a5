"""Mixer in the agent: the service's rules and adapters, a function call away.

The only module of the proxy that knows Mixer's code; it is imported where this is asked for and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from mizzen.api.store.watch import FolderStore
from mizzen.attributes.bag import DictBag
from mizzen.attributes.values import Value
from mizzen.mixer.adapter import QuotaArgs
from mizzen.mixer.adapters.defaults import DEFAULTS, EVERYWHERE
from mizzen.mixer.app.pages import Page, pages
from mizzen.mixer.runtime.engine import RuleEngine
from mizzen.mixer.verdict import Allotment, HeaderOperation, PolicyError, Verdict
from mizzen.proxy.app.mixer.contract import (
    CALL_SECONDS,
    CHANGES,
    INTERNAL,
    CallFailed,
    Decision,
    Grant,
    Question,
    direct_code,
)
from mizzen.proxy.app.settings import EmbeddedMixer as Settings
from mizzen.proxy.engine.control import CheckAnswer, HeaderChange
from mizzen.proxy.engine.mixer_plan import TransportPlan
from mizzen.proxy.engine.verdict import DEADLINE_EXCEEDED
from mizzen.runtime.address import Address

LONGEST: Final = timedelta(seconds=1)
"""For how long at most a verdict is kept: asking again costs little here, and so long a change of rules takes."""
PIECE: Final = 100
"""Reports that are taken at a time: checks wait meanwhile (each report costs some 20 µs)."""
UNKNOWN: Final = 2


class EmbeddedMixer:
    """Rules of a folder. `load`, then `watch`; implements `contract.MixerClient`. One a process, as is what it sets."""

    def __init__(self, settings: Settings, host: str) -> None:
        """`host` is where the adapter prometheus serves its page unless its handler says another place."""
        DEFAULTS.config = settings.config_dir
        DEFAULTS.registry = settings.registry_dir
        DEFAULTS.prometheus = Address(host, EVERYWHERE.port)
        logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells of every event
        self._engine = RuleEngine(FolderStore(settings.config_dir), longest_validity=LONGEST)

    async def load(self) -> None:
        """Read the rules once; raises StartError."""
        await self._engine.load()

    async def watch(self) -> None:
        """Follow changes of the folder until cancelled."""
        await self._engine.watch()

    def pages(self) -> dict[str, Page]:
        """The `/debug` pages of Mixer by path."""
        return pages(self._engine)

    async def check(self, transport: TransportPlan, question: Question) -> Decision:
        """One attempt: what fails here is a handler, and the next attempt would find it as it is. CallFailed."""
        quotas = {name: QuotaArgs(amount, question.best_effort) for name, amount in question.quotas.items()}
        try:
            async with asyncio.timeout(CALL_SECONDS):
                verdict = await self._engine.check(question.bag, quotas, question.deduplication_id)
        except TimeoutError:
            raise CallFailed(DEADLINE_EXCEEDED, f"Mixer's handlers took more than {CALL_SECONDS:g} s") from None
        except PolicyError as error:
            raise CallFailed(INTERNAL, str(error)) from error
        return Decision(_answer(verdict), {name: _grant(given) for name, given in verdict.quotas.items()})

    def batch(self, transport: TransportPlan) -> PlainBatch:
        """Kept as it comes."""
        return PlainBatch(self._engine)

    async def close(self) -> None:
        """Let handlers flush what they hold."""
        await self._engine.close()


class PlainBatch:
    """Reports for the engine. Implements `contract.Batch`."""

    def __init__(self, engine: RuleEngine) -> None:
        self._engine = engine
        self._bags: list[DictBag] = []

    def __len__(self) -> int:
        return len(self._bags)

    def add(self, own: Mapping[str, Value], common: Mapping[str, Value]) -> None:
        """Keep one."""
        self._bags.append(DictBag({**common, **own}))

    async def send(self) -> None:
        """All, piece by piece; raises CallFailed, in the end, where something could not be reported."""
        errors: list[str] = []
        for start in range(0, len(self._bags), PIECE):
            try:
                await self._engine.report(self._bags[start : start + PIECE])
            except PolicyError as error:
                errors.append(str(error))
            await asyncio.sleep(0)
        if errors:
            raise CallFailed(UNKNOWN, f"{errors[0]} (in {len(errors)} of {-(-len(self) // PIECE)} parts)")


def _answer(verdict: Verdict) -> CheckAnswer:
    """In the plain types that a worker, which does not know Mixer's, can read."""
    return CheckAnswer(
        serial=0,
        code=int(verdict.status.code),
        message=verdict.status.message,
        references=frozenset(verdict.referenced),
        valid_for=verdict.valid_duration.total_seconds(),
        uses=verdict.valid_use_count,
        request_changes=tuple(map(_change, verdict.request_headers)),
        response_changes=tuple(map(_change, verdict.response_headers)),
        direct_code=direct_code(verdict.direct_response_code),
        direct_body=verdict.direct_response_body,
    )


def _change(operation: HeaderOperation) -> HeaderChange:
    return CHANGES[operation.action], operation.name, operation.value


def _grant(given: Allotment) -> Grant:
    return Grant(given.result.amount, given.result.valid_duration.total_seconds(), given.referenced)
