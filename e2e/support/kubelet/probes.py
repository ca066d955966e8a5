"""Questions to a container, asked from the node: probes and hooks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import aiohttp

from support.kubelet.objects import Object, Unable

AGENT = "kube-probe/1.34"
HOOK_SECONDS = 600.0

log = logging.getLogger(__name__)

Run = Callable[[list[str]], Awaitable[bool]]
"""Runs a command in the container: whether it ended with 0."""


class Asker:
    """Asks one container."""

    def __init__(self, container: Object, address: str, run: Run) -> None:
        self._ports = {port["name"]: port["containerPort"] for port in container.get("ports", ()) if "name" in port}
        self._address = address
        self._run = run

    async def probe(self, probe: Object) -> bool:
        """Whether it succeeds in time."""
        try:
            async with asyncio.timeout(probe.get("timeoutSeconds", 1)):
                return await self._ask(probe)
        except (OSError, TimeoutError, aiohttp.ClientError):
            return False
        except Unable as error:
            log.warning("%s", error)
            return False

    async def hook(self, hook: Object) -> bool:
        """The same for postStart and preStop."""
        return await self.probe(hook | {"timeoutSeconds": HOOK_SECONDS})

    async def _ask(self, probe: Object) -> bool:
        if given := probe.get("exec"):
            return await self._run(given["command"])
        if given := probe.get("httpGet"):
            return await self._get(given)
        if given := probe.get("tcpSocket"):
            _, writer = await asyncio.open_connection(given.get("host") or self._address, self._port(given["port"]))
            writer.close()
            return True
        if given := probe.get("sleep"):
            await asyncio.sleep(given["seconds"])
            return True
        raise Unable("a probe that is none of exec, httpGet, tcpSocket, sleep")

    async def _get(self, given: Object) -> bool:
        scheme, host = given.get("scheme", "HTTP").lower(), given.get("host") or self._address
        url = f"{scheme}://{host}:{self._port(given['port'])}/{given.get('path', '/').removeprefix('/')}"
        headers = {"User-Agent": AGENT} | {each["name"]: each["value"] for each in given.get("httpHeaders", ())}
        async with (
            aiohttp.ClientSession(headers=headers, trust_env=False) as session,
            session.get(url, ssl=False, allow_redirects=False) as response,
        ):
            return 200 <= response.status < 400

    def _port(self, port: int | str) -> int:
        if isinstance(port, int):
            return port
        if port not in self._ports:
            raise Unable(f"a probe of the port {port}, which the container does not declare")
        return int(self._ports[port])


async def watch(probe: Object, ask: Callable[[Object], Awaitable[bool]], tell: Callable[[bool], bool]) -> None:
    """Ask again and again; `tell` is told after enough equal answers, and says whether to go on."""
    needed = {True: probe.get("successThreshold", 1), False: probe.get("failureThreshold", 3)}
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    last, count = True, 0
    while True:
        answer = await ask(probe)
        count = count + 1 if answer is last else 1
        last = answer
        if count >= needed[answer] and not tell(answer):
            return
        await asyncio.sleep(probe.get("periodSeconds", 10))
