import asyncio
import subprocess
import sys

import pytest

from mizzen.runtime.errors import StartError
from mizzen.runtime.lifecycle import Lifecycle

PREFIX = """
import asyncio, os, signal, sys
from mizzen.runtime.errors import StartError
from mizzen.runtime.lifecycle import run
from mizzen.runtime.logs import set_up
set_up()
"""
SIGNALLED = """
async def main(life):
    os.kill(os.getpid(), signal.SIGTERM)
    await life.wait()
    print("drained after", life.reason)
"""
SIGNALLED_TWICE = """
async def main(life):
    os.kill(os.getpid(), signal.SIGINT)
    await life.wait()
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(60)
    print("never")
"""
CANNOT_START = """
async def main(life):
    raise StartError("127.0.0.1:1 is taken")
"""
RETURNS = """
async def main(life):
    assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")
    life.stop("first"); life.stop("second")
    print(life.reason, life.stopping)
"""


@pytest.mark.parametrize(
    ("main", "status", "output", "error"),
    [
        (SIGNALLED, 0, "drained after SIGTERM\n", "Stopping on SIGTERM"),
        (SIGNALLED_TWICE, 1, "", "Stopped without waiting, after a second signal"),
        (CANNOT_START, 1, "", "127.0.0.1:1 is taken"),
        (RETURNS, 0, "first True\n", ""),
    ],
)
def test_end_of_a_service(main: str, status: int, output: str, error: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PREFIX + main + "\nsys.exit(run(main))"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stdout) == (status, output), done.stderr
    assert error in done.stderr
    assert "Traceback" not in done.stderr


async def test_work_is_done_before_the_service_should_stop() -> None:
    assert await Lifecycle().until_stopped(asyncio.sleep(0))


async def test_work_that_fails_says_so() -> None:
    async def fail() -> None:
        raise StartError("no")

    with pytest.raises(StartError, match="no"):
        await Lifecycle().until_stopped(fail())


async def test_work_is_given_up_when_the_service_should_stop() -> None:
    life, ended = Lifecycle(), asyncio.Event()

    async def endless() -> None:
        try:
            life.stop("enough")
            await asyncio.Event().wait()
        finally:
            ended.set()

    assert not await life.until_stopped(endless())
    assert ended.is_set()
