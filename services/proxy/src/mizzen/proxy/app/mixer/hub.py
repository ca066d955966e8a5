"""Where the workers' messages for Mixer arrive."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from google.protobuf.message import DecodeError

from mizzen.attributes.values import Value
from mizzen.proxy.app.mixer.attributes import check_attributes, report_attributes
from mizzen.proxy.app.mixer.checks import Checks
from mizzen.proxy.app.mixer.connections import ConnectionAttributes
from mizzen.proxy.app.mixer.contract import CALL_SECONDS, INTERNAL, MixerClient
from mizzen.proxy.app.mixer.reports import ReportSender
from mizzen.proxy.app.mixer.statistics import CallStats
from mizzen.proxy.engine import control
from mizzen.proxy.engine.mixer_plan import MixerContext, TransportPlan
from mizzen.proxy.engine.verdict import OK
from mizzen.proxy.io.control_channel import PeerGone

log = logging.getLogger(__name__)

Reply = Callable[[control.CheckAnswers], Awaitable[None]]
Read = Callable[[], dict[str, Value]]
MAX_SENDERS = 8
"""Mixers, or ways to speak to one, that there may be at a time; what configuration no longer names makes room."""


class MixerHub:
    """Checks and reports of all workers. `close` in the end, which closes `mixer` too."""

    def __init__(self, mixer: MixerClient) -> None:
        self.stats = CallStats()
        self._mixer = mixer
        self._checks = Checks(mixer, self.stats, self._spawn)
        self._senders: dict[TransportPlan, ReportSender] = {}
        self._connections = ConnectionAttributes()
        self._running: set[asyncio.Task[None]] = set()

    def heard(self, message: control.Checks | control.Reports, reply: Reply) -> None:
        """A worker's message; `reply` sends that worker answers and may raise PeerGone."""
        if isinstance(message, control.Reports):
            self._report(message)
            return
        for serial, place, request in message.asks:
            context = message.contexts[place]
            self._spawn(self._check(context, partial(check_attributes, context, request), serial, reply))
        for serial, place, connection in message.connections:
            context = message.contexts[place]
            self._spawn(self._check(context, partial(self._connections.begun, context, connection), serial, reply))

    async def close(self, seconds: float) -> None:
        """Send the last reports within the time, and end everything."""
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.gather(*(sender.close(seconds) for sender in self._senders.values()))
        await self._mixer.close()

    async def _check(self, context: MixerContext, read: Read, serial: int, reply: Reply) -> None:
        try:
            answer = await self._checks.decide(context, read(), serial)
        except Exception as error:  # the request must not wait for nothing
            log.exception("a check failed")
            code = OK if context.transport.fail_open else INTERNAL
            answer = control.CheckAnswer(serial, code, f"a fault of this proxy: {type(error).__name__}", shared=True)
        with suppress(PeerGone):
            await reply(control.CheckAnswers((answer,)))

    def _report(self, message: control.Reports) -> None:
        senders = list(map(self._sender, message.contexts))
        for record in message.records:
            try:
                common, own = report_attributes(message.contexts[record[0]], record)
                senders[record[0]].add(own, common)
            except (DecodeError, ValueError, OverflowError) as error:
                self._lose(error)
        for connection in message.connections:
            try:
                senders[connection[0]].add(self._connections.reported(message.contexts[connection[0]], connection))
            except (DecodeError, ValueError, OverflowError) as error:
                self._lose(error)

    def _lose(self, error: Exception) -> None:
        log.error("a request cannot be reported: %s", error)
        self.stats.reports_dropped += 1

    def _sender(self, context: MixerContext) -> ReportSender:
        sender = self._senders.get(context.transport)
        if sender is None:
            if len(self._senders) >= MAX_SENDERS:
                self._spawn(self._senders.pop(next(iter(self._senders))).close(CALL_SECONDS))
            sender = self._senders[context.transport] = ReportSender(context.transport, self._mixer, self.stats)
        return sender

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
