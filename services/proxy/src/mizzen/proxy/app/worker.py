"""A worker process: `python -m mizzen.proxy.app.worker --fd N`, started by the agent with a socket pair's end as fd N.

It knows nothing but what the agent tells it, and when the agent is gone it finishes what is under way and exits.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import random
import signal
import socket
import sys
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from typing import Final

import uvloop

from mizzen.proxy.engine.control import (
    Applied,
    AskStats,
    CheckAnswers,
    Drain,
    FromWorker,
    InquiryAnswer,
    Ready,
    Refused,
    SetLogLevel,
    ToWorker,
    Update,
)
from mizzen.proxy.engine.jwt.plan import JwtPlan
from mizzen.proxy.engine.plan import HttpPlan, ListenerPlan, Plan
from mizzen.proxy.io.control_channel import ControlChannel, PeerGone
from mizzen.proxy.io.runtime import Runtime

log = logging.getLogger("mizzen.proxy.worker")

MAX_OUTBOX = 16
"""Messages for Mixer that the agent has not read, after which reports wait."""
LAST_SECONDS = 1.0
"""For the agent to read the last reports."""
TOKENS: Final = "mizzen.proxy.io.tokens"
"""The module that brings what verifies signatures."""
ORPHAN_GRACE = 5.0
"""Seconds for requests under way when the agent is gone."""


class Worker:
    """Does what the agent says, one message after the other."""

    def __init__(self, channel: ControlChannel[ToWorker, FromWorker], runtime: Runtime) -> None:
        self._channel = channel
        self._runtime = runtime
        self._sending = asyncio.Lock()
        self._outbox: deque[FromWorker] = deque()
        """What Mixer is to hear. Checks that wait are bounded, and no reports come while it is long."""
        self._filled = asyncio.Event()
        runtime.mixer.post = runtime.inquiries.post = self._post
        runtime.reports.congested = lambda: len(self._outbox) >= MAX_OUTBOX

    async def run(self) -> None:
        """Serve until told to stop, or until the agent is gone."""
        posting = asyncio.create_task(self._empty_outbox())
        try:
            await self._send(Ready(os.getpid()))
            grace = await self._obey()
            answering = asyncio.create_task(self._obey())  # counters are asked for until the end
            await self._runtime.drain(grace, stop=True)
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
            await self._send_rest()
        except PeerGone as error:
            log.warning("the agent is gone (%s): draining", error)
            self._runtime.mixer.post = self._runtime.inquiries.post = None
            await self._runtime.drain(ORPHAN_GRACE, stop=True)
        finally:
            posting.cancel()
            await asyncio.gather(posting, return_exceptions=True)
            self._channel.close()

    async def _obey(self) -> float:
        """Do what the agent says until it says stop; the grace that it gives. PeerGone."""
        while True:
            message, sockets = await self._channel.receive()
            if isinstance(message, Drain) and message.stop:
                return message.grace
            await self._handle(message, sockets)

    async def _handle(self, message: ToWorker, sockets: dict[str, socket.socket]) -> None:
        if isinstance(message, Update):
            await self._update(message, sockets)
        elif isinstance(message, Drain):
            await self._runtime.drain(message.grace, stop=False)
        elif isinstance(message, AskStats):
            await self._send(self._runtime.stats(message.serial))
        elif isinstance(message, CheckAnswers):
            self._runtime.mixer.answered(message.answers)
        elif isinstance(message, InquiryAnswer):
            self._runtime.inquiries.answer(message)
        elif isinstance(message, SetLogLevel):
            logging.getLogger().setLevel(message.level)

    async def _update(self, update: Update, sockets: dict[str, socket.socket]) -> None:
        try:
            if checks_tokens(update.plans):
                # What verifies signatures takes 90 ms to load: in a thread, so that requests are served meanwhile.
                await asyncio.to_thread(import_module, TOKENS)
            await self._runtime.apply(update, sockets)
        except (ValueError, OSError) as error:
            await self._refuse(update, sockets, str(error))
        except Exception as error:  # dying of it would cut all connections, and the next worker would die as well
            log.exception("an update cannot be applied")
            await self._refuse(update, sockets, f"a fault of this proxy: {type(error).__name__}: {error}")
        else:
            await self._send(Applied(update.serial))
            gc.collect()
            gc.freeze()  # what configuration made lives long: the collector need not walk it again

    async def _refuse(self, update: Update, sockets: dict[str, socket.socket], reason: str) -> None:
        for sock in sockets.values():
            sock.close()
        await self._send(Refused(update.serial, reason))

    def _post(self, message: FromWorker) -> None:
        """Send in its turn, without waiting."""
        self._outbox.append(message)
        self._filled.set()

    async def _send(self, message: FromWorker) -> None:
        async with self._sending:
            await self._channel.send(message)

    async def _empty_outbox(self) -> None:
        with suppress(PeerGone):  # whoever reads learns of it as well
            while True:
                await self._filled.wait()
                while self._outbox:
                    await self._send(self._outbox[0])
                    self._outbox.popleft()
                self._filled.clear()

    async def _send_rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                while self._outbox:  # noqa: ASYNC110 - once in the life of a worker
                    await asyncio.sleep(0.01)


def checks_tokens(plans: Iterable[Plan]) -> bool:
    """Whether some listener looks at the tokens of users."""
    handlers = (handler for plan in plans if isinstance(plan, ListenerPlan) for handler in plan.handlers)
    return any(isinstance(guard, JwtPlan) for each in handlers if isinstance(each, HttpPlan) for guard in each.guards)


async def serve(descriptor: int) -> None:
    """Run a worker on an inherited socket."""
    loop = asyncio.get_running_loop()
    channel = ControlChannel[ToWorker, FromWorker](socket.socket(fileno=descriptor))
    runtime = Runtime(loop, random.random)
    # The agent decides when to stop; a Ctrl-C or a signal to the process group is meant for it.
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    await Worker(channel, runtime).run()


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="mizzen-proxy-worker", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="the worker's end of the agent's socket pair")
    arguments = parser.parse_args()
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format="%(asctime)s %(levelname)s worker[%(process)d] %(name)s: %(message)s",
    )
    uvloop.run(serve(arguments.fd))
    return 0


if __name__ == "__main__":
    sys.exit(main())
