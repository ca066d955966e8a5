"""One supervised process: started, probed, started again when it ends, stopped for good when asked."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import aiohttp

from mizzen.cli.local import launcher
from mizzen.cli.local.health import Probes, watch
from mizzen.runtime.backoff import Backoff

log = logging.getLogger(__name__)

State = Literal["starting", "running", "restarting", "stopped"]
BACKOFF_BASE = 0.2
BACKOFF_MAXIMUM = 10.0
SETTLED_SECONDS = 10.0
"""A process that lived so long begins its next back-off anew."""

UNWELL_GRACE_SECONDS = 5.0
"""From SIGTERM to SIGKILL for a process that its probes gave up."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, and how to tell that it is well."""

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    log: Path
    address: str = ""
    probes: Probes = field(default_factory=Probes)
    working_directory: Path | None = None


class Child:
    """Keeps one command running. `changed` is called whenever what `state`, `pid` or `ready` say has changed."""

    def __init__(self, command: Command, client: aiohttp.ClientSession, changed: Callable[[], None]) -> None:
        self.command = command
        self.pid = 0
        self.ready = False
        self.restarts = 0
        self.reason = ""
        """How the last run ended; empty when it is the first."""
        self._client = client
        self._changed = changed
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        if self.pid:
            return "running" if self.ready else "starting"
        if self._stopping.is_set() or self._task is None:
            return "stopped"
        return "restarting" if self.reason else "starting"

    def start(self) -> None:
        """Begin to keep it running; once."""
        self._task = asyncio.create_task(self._keep_running(), name=self.command.name)

    async def stop(self, grace: float) -> None:
        """SIGTERM, then after `grace` seconds SIGKILL for it and all that it started; returns when it has ended."""
        self._stopping.set()
        if self._task is None:
            return
        self._signal(signal.SIGTERM)
        _, unfinished = await asyncio.wait({self._task}, timeout=grace)
        if unfinished:
            log.warning("%s did not end within %g s and is killed", self.command.name, grace)
            self._signal_group()
            await asyncio.wait({self._task})

    async def _keep_running(self) -> None:
        backoff = Backoff(BACKOFF_BASE, BACKOFF_MAXIMUM)
        while not self._stopping.is_set():
            began = time.monotonic()
            self.reason = await self._run_once()
            self._changed()
            if self._stopping.is_set():
                return
            if time.monotonic() - began > SETTLED_SECONDS:
                backoff.reset()
            pause = backoff.next(random.random())
            log.warning("%s %s; starting it again in %.1f s", self.command.name, self.reason, pause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            self.restarts += 1

    async def _run_once(self) -> str:
        """Start it and wait for its end; how it ended."""
        try:
            process = await _spawn(self.command)
        except OSError as error:
            return f"could not be started: {error.strerror or error}"
        self.pid = process.pid
        if self._stopping.is_set():
            self._signal(signal.SIGTERM)  # the request to stop came while it was being started
        watching = asyncio.create_task(watch(self.command.probes, self._client, self._set_ready))
        ended = asyncio.create_task(process.wait())
        self._changed()
        try:
            await asyncio.wait({watching, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                return await self._put_down(watching.result(), ended)
            code = ended.result()
        finally:
            watching.cancel()
            ended.cancel()
            self._signal_group()
            self.pid, self.ready = 0, False
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"

    async def _put_down(self, reason: str, ended: asyncio.Task[int]) -> str:
        """End a process that does not do well: first it is asked to."""
        log.warning("%s %s and is stopped", self.command.name, reason)
        self._set_ready(False)
        self._signal(signal.SIGTERM)
        await asyncio.wait({ended}, timeout=UNWELL_GRACE_SECONDS)
        self._signal_group()
        await ended
        return reason

    def _set_ready(self, ready: bool) -> None:
        if ready != self.ready:
            self.ready = ready
            self._changed()

    def _signal(self, number: signal.Signals) -> None:
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _signal_group(self) -> None:
        """End what the process started and left behind: it led a session of its own."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)


async def _spawn(command: Command) -> asyncio.subprocess.Process:
    command.log.parent.mkdir(parents=True, exist_ok=True)
    output = os.open(command.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    launch = (sys.executable, "-I", "-S", str(Path(launcher.__file__)), str(os.getpid()))
    try:
        return await asyncio.create_subprocess_exec(
            *launch,
            *command.argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(command.environ),
            cwd=command.working_directory,
            start_new_session=True,
        )
    finally:
        os.close(output)
