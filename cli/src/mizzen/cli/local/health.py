"""A process as its probes see it, by the rules of Kubernetes: started, then ready or not, and alive or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from mizzen.cli.local.probe import EAGER_SECONDS, Judgement, Probe


@dataclass(frozen=True, slots=True)
class Probes:
    """What to ask a process; without `readiness`, one that has started is ready."""

    readiness: Probe | None = None
    liveness: Probe | None = None
    startup: Probe | None = None
    """The others are not asked before it has said yes once."""


async def watch(probes: Probes, client: aiohttp.ClientSession, set_ready: Callable[[bool], None]) -> str:
    """Ask until the process must be started again; why."""
    if probes.startup is not None and not await _starts(probes.startup, client):
        seconds = probes.startup.period * probes.startup.failures
        return f"did not pass its startup probe within {seconds:g} s"
    readiness = asyncio.create_task(_follow_readiness(probes.readiness, client, set_ready))
    try:
        if probes.liveness is None:
            await readiness
        else:
            await _dies(probes.liveness, client)
    finally:
        readiness.cancel()
    return "failed its liveness probe"


async def _starts(probe: Probe, client: aiohttp.ClientSession) -> bool:
    """Whether it says yes in time; asked more often than its period says, so that a mesh starts fast."""
    await asyncio.sleep(probe.delay)
    try:
        async with asyncio.timeout(probe.period * probe.failures):
            while True:
                if await probe.check(client):
                    return True
                await asyncio.sleep(min(EAGER_SECONDS, probe.period))
    except TimeoutError:
        return False


async def _follow_readiness(
    probe: Probe | None, client: aiohttp.ClientSession, set_ready: Callable[[bool], None]
) -> None:
    """Until cancelled."""
    if probe is None:
        set_ready(True)
        await asyncio.Event().wait()
        return
    await asyncio.sleep(probe.delay)
    judgement = Judgement(probe.failures)
    while True:
        ready = judgement.answer(await probe.check(client))
        set_ready(ready)
        await asyncio.sleep(probe.period if ready else min(EAGER_SECONDS, probe.period))


async def _dies(probe: Probe, client: aiohttp.ClientSession) -> None:
    """Returns when so many answers in a row were no."""
    await asyncio.sleep(probe.delay)
    judgement = Judgement(probe.failures, ready=True)
    while True:
        if not judgement.answer(await probe.check(client)):
            return
        await asyncio.sleep(probe.period)
