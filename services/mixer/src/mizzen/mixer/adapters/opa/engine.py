"""An OPA server of our own, for policies that are written in the parameters."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mizzen.mixer.adapter import AdapterError
from mizzen.mixer.adapters.opa.client import Client
from mizzen.runtime.backoff import Backoff

log = logging.getLogger(__name__)

START_SECONDS = 10.0
STOP_SECONDS = 2.0
_POLL_SECONDS = 0.05


class Engine:
    """Runs `opa` on a Unix socket with some policies, and starts it again when it ends."""

    def __init__(self, program: str, policies: Sequence[str], seconds: float) -> None:
        self._program = program
        self._policies = policies
        self._folder = Path(tempfile.mkdtemp(prefix="mizzen-opa-"))
        self._socket = self._folder / "opa.sock"
        self.client = Client("http://opa", seconds, self._socket)
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it and give it the policies; raises AdapterError for a policy that does not compile."""
        await self._launch()
        self._keeper = asyncio.create_task(self._keep(), name="opa")

    async def close(self) -> None:
        """Stop it."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self._stop()
        await self.client.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _launch(self) -> None:
        self._socket.unlink(missing_ok=True)
        quiet = ("--log-level", "error", "--disable-telemetry")
        arguments = ("run", "--server", "--addr", f"unix://{self._socket}", *quiet, *await _dialect(self._program))
        nothing = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            *_ends_with_us(), self._program, *arguments, stdin=nothing, stdout=nothing
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await self.client.healthy():
                    if self._process.returncode is not None:
                        raise AdapterError(f"{self._program} ended with status {self._process.returncode}")
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise AdapterError(f"{self._program} was not ready within {START_SECONDS:g}s") from None
        for number, policy in enumerate(self._policies):
            await self.client.put_policy(f"policy-{number}", policy)

    async def _keep(self) -> None:
        backoff = Backoff()
        while True:
            if self._process is not None:
                await self._process.wait()
            await asyncio.sleep(backoff.next(random.random()))
            log.warning("%s ended; starting it again", self._program)
            try:
                await self._launch()
            except (AdapterError, OSError) as error:
                log.error("%s: %s", self._program, error)
                await self._stop()

    async def _stop(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()


def _ends_with_us() -> tuple[str, ...]:
    """What makes Linux end a program when Mixer ends, however that ends; nothing where util-linux is missing."""
    setpriv = shutil.which("setpriv")
    return () if setpriv is None else (setpriv, "--pdeathsig", "TERM")


async def _dialect(program: str) -> tuple[str, ...]:
    """Istio's users wrote Rego v0; OPA 1.0 and later take that, beside `import rego.v1`, when told to."""
    process = await asyncio.create_subprocess_exec(program, "version", stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return () if output.startswith(b"Version: 0.") else ("--v0-compatible",)
