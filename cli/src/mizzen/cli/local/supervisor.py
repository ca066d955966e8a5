"""The process that runs a mesh: `python -m mizzen.cli.local.supervisor --home DIR --engine python|envoy`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from watchfiles import awatch

from mizzen.cli.local.config import ConfigFolder
from mizzen.cli.local.desired import pod_templates
from mizzen.cli.local.fleet import Fleet
from mizzen.cli.local.home import Home
from mizzen.cli.local.locking import AlreadyLockedError, Lock
from mizzen.cli.local.logfiles import cap_logs
from mizzen.cli.local.state import MeshState, SupervisorState, read_state, write_state
from mizzen.pilot.ingest.registry.folder import RegistryFolder
from mizzen.runtime import logs
from mizzen.runtime.lifecycle import Lifecycle, run

log = logging.getLogger(__name__)

WATCH_DEBOUNCE_MS = 50
LOG_CHECK_SECONDS = 10.0


class Supervisor:
    """Brings what runs to what the configuration says, and tells Pilot and the command line what runs."""

    def __init__(self, home: Home, engine: str, client: aiohttp.ClientSession) -> None:
        self._home = home
        self._engine = engine
        self._config = ConfigFolder(home.config)
        self._registry = RegistryFolder(home.registry)
        self._work = asyncio.Event()
        self._phase = "running"
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        before = read_state(home.state)
        self._fleet = Fleet(home, engine, client, before.numbers if before else {}, self._work.set)

    async def run(self, lifecycle: Lifecycle) -> None:
        """Until asked to stop; then end every process."""
        self._home.config.mkdir(parents=True, exist_ok=True)
        self._registry.clear()
        self._fleet.start()
        self._work.set()
        tasks = [asyncio.create_task(task) for task in (self._converge(), self._watch_config(), self._cap_logs())]
        stop = asyncio.create_task(lifecycle.wait())
        try:
            await asyncio.wait({*tasks, stop}, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()  # they only end by an error: show it, the mesh must not run unwatched
        finally:
            for task in (*tasks, stop):
                task.cancel()
            self._phase = "stopping"
            self._report()
            await self._fleet.stop()

    async def _converge(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            self._config.load()
            resources = self._config.resources
            self._fleet.reconcile(resources)
            self._registry.publish(self._fleet.objects(resources))
            self._report()

    async def _watch_config(self) -> None:
        async for _ in awatch(self._home.config, debounce=WATCH_DEBOUNCE_MS, step=10):
            self._work.set()

    async def _cap_logs(self) -> None:
        while True:
            await asyncio.sleep(LOG_CHECK_SECONDS)
            cap_logs(self._home.logs)

    def _report(self) -> None:
        complaints = [
            f"Deployment {item.namespace}/{item.deployment}: {item.complaint}"
            for item in pod_templates(self._config.resources).values()
            if item.complaint
        ]
        state = MeshState(
            engine=self._engine,
            phase=self._phase,
            supervisor=SupervisorState(os.getpid(), self._started),
            processes=self._fleet.processes,
            pods=self._fleet.pods,
            problems=(*map(str, self._config.problems), *complaints),
            numbers=self._fleet.numbers,
        )
        write_state(self._home.state, state)


def main() -> int:
    parser = argparse.ArgumentParser(prog="mizzen-supervisor", description="Runs the processes of a local mesh.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--engine", choices=("python", "envoy"), default="python")
    given = parser.parse_args()
    logs.set_up()
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells every change
    home = Home(given.home.absolute())
    try:
        lock = Lock(home.lock)
    except AlreadyLockedError:
        log.error("Another supervisor runs this mesh: %s", home.lock)
        return 1

    async def supervise(lifecycle: Lifecycle) -> None:
        async with aiohttp.ClientSession() as client:
            await Supervisor(home, given.engine, client).run(lifecycle)

    try:
        return run(supervise)
    finally:
        lock.release()


if __name__ == "__main__":
    sys.exit(main())
