"""A worker's questions to authorizers: the agent asks, and answers once; silence is an answer too. ★ hot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from mizzen.proxy.engine.control import FromWorker, Inquiry, InquiryAnswer

if TYPE_CHECKING:
    import asyncio

MAX_WAITING: Final = 4096
"""Questions of one worker that may wait for their answers."""
GRACE: Final = 1.0
"""Seconds beyond the time-out in which the agent may still answer; it watches the time-out itself."""
TICK: Final = 0.5

Answered: TypeAlias = Callable[[InquiryAnswer], None]


class Inquiries:
    """All questions of a worker that wait for an answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.post: Callable[[FromWorker], None] | None = None
        """Gives a message to the agent; None without one."""
        self.max_waiting = MAX_WAITING
        self._loop = loop
        self._serial = 0
        self._waiting: dict[int, tuple[float, Answered]] = {}
        """When each is given up, and who is told."""
        self._ticking = False

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(self, inquiry: Inquiry, answered: Answered) -> int:
        """Ask; `answered` is called once, unless it is forgotten before. The serial, 0 when it was called already."""
        post = self.post
        if post is None or len(self._waiting) >= self.max_waiting:
            answered(InquiryAnswer(0, failure="too many questions are under way" if post else "nobody asks for it"))
            return 0
        self._serial += 1
        serial = self._serial
        self._waiting[serial] = (self._loop.time() + inquiry.plan.call.timeout + GRACE, answered)
        post(replace(inquiry, serial=serial))
        if not self._ticking:
            self._ticking = True
            self._loop.call_later(TICK, self._tick)
        return serial

    def forget(self, serial: int) -> None:
        """Nobody waits for this answer any more."""
        self._waiting.pop(serial, None)

    def answer(self, answer: InquiryAnswer) -> None:
        """The agent's word."""
        waiting = self._waiting.pop(answer.serial, None)
        if waiting is not None:
            waiting[1](answer)

    def _tick(self) -> None:
        now = self._loop.time()
        for serial in [serial for serial, (due, _) in self._waiting.items() if due <= now]:
            self.answer(InquiryAnswer(serial, failure="there was no answer in time"))
        self._ticking = bool(self._waiting)
        if self._ticking:
            self._loop.call_later(TICK, self._tick)
