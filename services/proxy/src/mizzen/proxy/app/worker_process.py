"""One worker process and the agent's end of its channel."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

from mizzen.proxy.engine.control import (
    Applied,
    AskStats,
    CheckAnswers,
    Checks,
    FromWorker,
    Inquiry,
    InquiryAnswer,
    Ready,
    Refused,
    Reports,
    Stats,
    ToWorker,
    Update,
)
from mizzen.proxy.io.control_channel import ControlChannel, PeerGone

log = logging.getLogger(__name__)

START_SECONDS = 20.0

Heard: TypeAlias = Callable[[Checks | Reports, Callable[[CheckAnswers], Awaitable[None]]], None]
"""Takes what a worker has for Mixer, and a way to answer it."""
Inquired: TypeAlias = Callable[[Inquiry, Callable[[InquiryAnswer], Awaitable[None]]], None]
"""Takes a worker's question to an authorizer, and a way to answer it."""


class WorkerProcess:
    """A started worker: asks it, and knows when it ends."""

    def __init__(self, process: asyncio.subprocess.Process, channel: ControlChannel[FromWorker, ToWorker]) -> None:
        self.pid = process.pid
        self.heard: Heard | None = None
        """Who speaks with Mixer; None leaves the worker's questions unanswered."""
        self.inquired: Inquired | None = None
        """Who asks authorizers; None leaves the worker's questions unanswered."""
        self._process = process
        self._channel = channel
        self._sending = asyncio.Lock()
        self._updates: dict[int, asyncio.Future[Applied | Refused]] = {}
        self._stats: dict[int, asyncio.Future[Stats]] = {}
        self._reading = asyncio.create_task(self._read(), name=f"worker {self.pid}")

    @classmethod
    async def start(cls) -> WorkerProcess:
        """Start one and wait until it is ready. Raises OSError, PeerGone or TimeoutError."""
        ours, theirs = socket.socketpair()
        channel = ControlChannel[FromWorker, ToWorker](ours)
        command = (sys.executable, "-m", "mizzen.proxy.app.worker", "--fd", str(theirs.fileno()))
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *command, stdin=asyncio.subprocess.DEVNULL, pass_fds=(theirs.fileno(),)
                )
        except BaseException:
            channel.close()
            raise
        try:
            async with asyncio.timeout(START_SECONDS):
                message, _ = await channel.receive()
            if not isinstance(message, Ready):
                raise PeerGone(f"it said {type(message).__name__} first")
        except BaseException:
            channel.close()
            await _end(process)
            raise
        return cls(process, channel)

    async def update(self, update: Update, sockets: Mapping[str, socket.socket]) -> Applied | Refused:
        """Send an update and wait for the answer; PeerGone when it ends before."""
        answer: asyncio.Future[Applied | Refused] = asyncio.get_running_loop().create_future()
        self._updates[update.serial] = answer
        try:
            await self.send(update, sockets)
            return await answer
        finally:
            self._updates.pop(update.serial, None)

    async def ask_stats(self, serial: int) -> Stats:
        """All counters; PeerGone when it ends before."""
        answer: asyncio.Future[Stats] = asyncio.get_running_loop().create_future()
        self._stats[serial] = answer
        try:
            await self.send(AskStats(serial))
            return await answer
        finally:
            self._stats.pop(serial, None)

    async def send(self, message: ToWorker, sockets: Mapping[str, socket.socket] | None = None) -> None:
        """Send without waiting for an answer. PeerGone."""
        if self._reading.done():
            raise PeerGone("the worker ended")
        async with self._sending:
            try:
                await self._channel.send(message, sockets or {})
            except (PeerGone, asyncio.CancelledError):
                self.kill()  # after half a message it would misread all others
                raise

    async def wait(self) -> int:
        """Its exit status, when it has ended."""
        return await self._process.wait()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def close(self) -> None:
        """End it if it still runs, and what waits for it."""
        self._reading.cancel()
        await asyncio.wait({self._reading})
        self._channel.close()
        await _end(self._process)

    async def _read(self) -> None:
        try:
            while True:
                message, _ = await self._channel.receive()
                self._answer(message)
        except PeerGone as error:
            self._fail(error)
        except Exception:
            log.exception("worker %d sent what cannot be read", self.pid)
            self._fail(PeerGone("its message cannot be read"))
            self.kill()
        except asyncio.CancelledError:
            self._fail(PeerGone("the worker was ended"))
            raise

    def _answer(self, message: FromWorker) -> None:
        if isinstance(message, Stats):
            asked = self._stats.get(message.serial)
            if asked is not None and not asked.done():
                asked.set_result(message)
        elif isinstance(message, Checks | Reports):
            if self.heard is not None:
                self.heard(message, self.send)
        elif isinstance(message, Inquiry):
            if self.inquired is not None:
                self.inquired(message, self.send)
        elif isinstance(message, Applied | Refused):
            sent = self._updates.get(message.serial)
            if sent is not None and not sent.done():
                sent.set_result(message)

    def _fail(self, error: PeerGone) -> None:
        everything: list[asyncio.Future[Any]] = [*self._updates.values(), *self._stats.values()]
        for waiting in everything:
            if not waiting.done():
                waiting.set_exception(error)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    await process.wait()
