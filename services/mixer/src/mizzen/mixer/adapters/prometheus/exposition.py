"""The HTTP servers that Prometheus asks, one for each address, shared by handlers."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from mizzen.mixer.adapter import AdapterError
from mizzen.mixer.adapters.prometheus.series import Registry
from mizzen.runtime.address import Address, explain_bind_error

SHUTDOWN_SECONDS = 1.0


@dataclass(slots=True)
class Exposition:
    """A server and what it shows. Port 0 makes the system choose; `address` tells."""

    address: Address
    registry: Registry = field(default_factory=Registry)
    users: int = 0
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen; raises AdapterError that names the address."""
        application = web.Application()
        application.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        try:
            family = socket.AF_INET6 if ":" in self.address.host else socket.AF_INET
            listener = socket.create_server(self.address, family=family, backlog=128)
        except OSError as error:
            await self._runner.cleanup()
            raise AdapterError(f"address: {explain_bind_error(self.address, error)}") from None
        self.address = Address(self.address.host, listener.getsockname()[1])
        await web.SockSite(self._runner, listener).start()

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self.registry.text().encode(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


_RUNNING: dict[Address, Exposition] = {}
"""By the address that was asked for. A process has one set of ports, so this is the process's."""


async def join(address: Address) -> Exposition:
    """The server at an address, started for its first handler."""
    exposition = _RUNNING.get(address)
    if exposition is None:
        exposition = Exposition(address)
        await exposition.start()
        if address.port:
            _RUNNING[address] = exposition
    exposition.users += 1
    return exposition


async def leave(exposition: Exposition) -> None:
    """Stop the server after its last handler."""
    exposition.users -= 1
    if not exposition.users:
        if _RUNNING.get(exposition.address) is exposition:
            del _RUNNING[exposition.address]
        await exposition.close()
