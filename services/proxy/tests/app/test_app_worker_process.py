"""The agent's end of a worker's channel, when the worker does not behave."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from mizzen.proxy.app.worker_process import WorkerProcess
from mizzen.proxy.engine.control import SetLogLevel, Update
from mizzen.proxy.io.control_channel import ControlChannel, PeerGone


class Process:
    """A process without one."""

    pid = 7
    returncode: int | None = None

    def kill(self) -> None:
        self.returncode = -9

    async def wait(self) -> int:
        return self.returncode or 0


@pytest.fixture
async def worker() -> AsyncIterator[SimpleNamespace]:
    """What the agent has of it, and the worker's own end."""
    ours, theirs = socket.socketpair()
    process = Process()
    running = WorkerProcess(process, ControlChannel(ours))  # type: ignore[arg-type]
    yield SimpleNamespace(asked=running, process=process, end=theirs)
    await running.close()
    theirs.close()


async def test_a_message_that_cannot_be_read_ends_what_waits_for_answers(
    worker: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = asyncio.create_task(worker.asked.update(Update(1), {}))
    worker.end.sendall(b"\0\0\0\3???")
    with pytest.raises(PeerGone, match="cannot be read"):
        async with asyncio.timeout(20):
            await waiting
    assert worker.process.returncode == -9
    assert "UnpicklingError" in caplog.text


async def test_a_worker_that_got_half_a_message_is_ended(worker: SimpleNamespace) -> None:
    sending = asyncio.create_task(worker.asked.send(SetLogLevel("x" * 10_000_000)))
    await asyncio.to_thread(worker.end.recv, 1)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert worker.process.returncode == -9
