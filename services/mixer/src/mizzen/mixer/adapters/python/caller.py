"""Calls a user's code within its budgets. Plain functions run in threads, so that none can hold the others up."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from mizzen.mixer.adapter import AdapterError
from mizzen.mixer.adapters import metrics
from mizzen.mixer.adapters.python.budget import ErrorBudget
from mizzen.mixer.adapters.python.source import Offer, explain
from mizzen.mixer.adapters.threads import Threads

log = logging.getLogger(__name__)

CLOSE_SECONDS = 2.0


class Caller:
    """Runs the calls of one handler."""

    def __init__(self, handler: str, path: Path, seconds: float, threads: int, budget: ErrorBudget) -> None:
        self._handler = handler
        self._path = path
        self._seconds = seconds
        self._budget = budget
        self._threads = Threads(handler, threads)

    async def call(self, offer: Offer, *arguments: object) -> Any:
        """What the user's code returns; raises AdapterError when it fails, takes too long, or rests."""
        clock = asyncio.get_running_loop().time
        self._budget.check(clock())
        try:
            with metrics.backend_call(self._handler):
                async with asyncio.timeout(self._seconds) as deadline:
                    result = await self._run(offer, *arguments)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's code may raise anything
            reason = explain(error, self._path)
            if isinstance(error, TimeoutError) and deadline.expired():
                reason = f"{self._path}: {offer.name} took longer than {self._seconds:g}s"
        else:
            self._budget.succeeded()
            return result
        self._budget.failed(reason, clock())
        raise AdapterError(reason)

    async def finish(self, close: Callable[[], Any]) -> None:
        """Call a `close` of the user's, within a bounded time; what goes wrong is only told."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await (close() if inspect.iscoroutinefunction(close) else self._threads.run(close))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
            log.warning("%s: close: %s", self._handler, explain(error, self._path))

    async def _run(self, offer: Offer, *arguments: object) -> Any:
        if offer.is_async:
            return await offer.call(*arguments)
        return await self._threads.run(partial(offer.call, *arguments))
