"""Readiness of a process, asked by HTTP or by a TCP connection, as Kubernetes' probes ask."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp

EAGER_SECONDS = 0.1
"""Pause between checks of a process that is not ready: shorter than its period, so that a mesh starts fast."""


@dataclass(frozen=True, slots=True)
class Probe:
    """How to ask. Without a path it is a TCP connection; times are seconds."""

    host: str
    port: int
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    failures: int = 3
    """So many failed checks in a row make a ready process unready."""

    async def check(self, client: aiohttp.ClientSession) -> bool:
        """Ask once: any status from 200 to 399 is a yes, as is an accepted connection."""
        if self.path:
            return await self._check_http(client)
        try:
            async with asyncio.timeout(self.timeout):
                _, writer = await asyncio.open_connection(self.host, self.port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True

    async def _check_http(self, client: aiohttp.ClientSession) -> bool:
        url = f"http://{self.host}:{self.port}{self.path}"
        timeout = aiohttp.ClientTimeout(total=self.timeout)
        try:
            async with client.get(url, headers=self.headers, timeout=timeout, allow_redirects=False) as answer:
                return 200 <= answer.status < 400
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False


@dataclass(slots=True)
class Judgement:
    """Readiness from a row of answers: one yes makes ready, `failures` noes in a row make unready."""

    failures: int
    ready: bool = False
    noes: int = 0

    def answer(self, yes: bool) -> bool:
        """Take one answer; what holds now."""
        self.noes = 0 if yes else self.noes + 1
        if yes:
            self.ready = True
        elif self.noes >= self.failures:
            self.ready = False
        return self.ready
