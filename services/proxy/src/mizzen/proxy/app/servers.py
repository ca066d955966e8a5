"""The agent's HTTP servers: admin, status, Prometheus."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from aiohttp import web

from mizzen.runtime.address import Address, explain_bind_error
from mizzen.runtime.errors import StartError

SHUTDOWN_SECONDS = 1.0
KEEPALIVE_SECONDS = 30.0


class HttpServer:
    """Serves while between `start` and `close`."""

    def __init__(self, routes: Sequence[web.RouteDef]) -> None:
        application = web.Application()
        application.add_routes(routes)
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS, keepalive_timeout=KEEPALIVE_SECONDS
        )

    async def start(self, address: Address) -> Address:
        """Listen; returns the address with the port that the system chose for 0. Raises StartError."""
        await self._runner.setup()
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        try:
            listener = socket.create_server(tuple(address), family=family, backlog=128)
        except OSError as error:
            raise StartError(explain_bind_error(address, error)) from error
        await web.SockSite(self._runner, listener).start()
        return Address(address.host, listener.getsockname()[1])

    async def close(self) -> None:
        """Stop listening and give open requests a moment."""
        await self._runner.cleanup()
