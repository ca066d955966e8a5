"""A program in the background: its output in a file, its end by its process id."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

READY_SECONDS = 60.0
END_SECONDS = 15.0


class Process:
    """Runs from its making until `end`."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        inherited: Sequence[int] = (),
    ) -> None:
        """`inherited` are file descriptors that it keeps."""
        self.name = log.stem
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                pass_fds=inherited,
            )

    def wait(self, ready: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
        """Until it is ready; raises AssertionError with the end of its output when it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            status = self._process.poll()
            assert status is None, f"{self.name} ended with status {status}:\n{self.output()}"
            assert time.monotonic() < deadline, f"{self.name} is not ready after {seconds:g} s:\n{self.output()}"
            time.sleep(0.1)

    def output(self) -> str:
        """Its last words."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-30:])

    def kill(self) -> None:
        """As a crash would end it."""
        self._process.kill()
        self._process.wait(END_SECONDS)

    def end(self) -> None:
        """SIGTERM, then SIGKILL."""
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(END_SECONDS)
