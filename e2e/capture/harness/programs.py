"""Programs that run beside a test and end with it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from capture.harness.hosts import Host

START_SECONDS = 30.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.1
PYTHON = sys.executable


def proxy_init(host: Host, *arguments: str) -> None:
    """Run proxy-init on the host; it must succeed."""
    host.run(PYTHON, "-m", "mizzen.injector.proxyinit", *arguments)


def attempt_proxy_init(host: Host, *arguments: str, uid: int = 0) -> subprocess.CompletedProcess[str]:
    """Run it, however it ends."""
    return host.attempt(PYTHON, "-m", "mizzen.injector.proxyinit", *arguments, uid=uid)


@contextlib.contextmanager
def running(
    host: Host,
    command: Sequence[str],
    log: Path,
    *,
    uid: int = 0,
    gid: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """The program on the host, its output in `log`; ended by its pid, by force if it does not obey."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            host.command(command, uid, gid), stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)


def wait_until(true: Callable[[], bool], what: str, log: Path, seconds: float = START_SECONDS) -> None:
    """Ask until it is true; fails with the end of the log."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not in {seconds:g} s\n{log.read_text('utf-8', 'replace')[-4000:]}")
        time.sleep(POLL_SECONDS)
