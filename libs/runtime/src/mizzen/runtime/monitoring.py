"""The HTTP server for people and Prometheus: /ready, /metrics, /version and a service's own debug pages."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from mizzen.runtime.address import Address, explain_bind_error
from mizzen.runtime.errors import StartError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SHUTDOWN_SECONDS = 2.0
KEEPALIVE_SECONDS = 30.0


class MonitoringServer:
    """Serves while between `start` and `close`.

    `not_ready` gives the reason why the service is not ready, or an empty text when it is.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        not_ready: Callable[[], str],
        version: Mapping[str, str],
        routes: Mapping[str, Handler] | None = None,
    ) -> None:
        self._registry = registry
        self._not_ready = not_ready
        self._version = dict(version)
        application = web.Application()
        application.router.add_get("/ready", self._ready)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/version", self._show_version)
        for path, handler in (routes or {}).items():
            application.router.add_get(path, handler)
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS, keepalive_timeout=KEEPALIVE_SECONDS
        )
        self._address: Address | None = None

    @property
    def address(self) -> Address:
        """Where it listens, with the port that the system chose for port 0."""
        if self._address is None:
            raise RuntimeError("the monitoring server was not started")
        return self._address

    async def start(self, address: Address) -> None:
        """Listen; raises StartError that names the address."""
        await self._runner.setup()
        try:
            # A socket of our own: the port chosen for port 0 is then known, and a taken port fails here.
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            listener = socket.create_server((address.host, address.port), family=family, backlog=128)
        except OSError as error:
            await self._runner.cleanup()
            raise StartError(explain_bind_error(address, error)) from error
        self._address = Address(address.host, listener.getsockname()[1])
        await web.SockSite(self._runner, listener).start()

    async def close(self) -> None:
        """Stop listening and give open requests a moment."""
        await self._runner.cleanup()

    async def _ready(self, request: web.Request) -> web.Response:
        reason = self._not_ready()
        return web.Response(text=f"{reason}\n", status=503) if reason else web.Response(text="ready\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})

    async def _show_version(self, request: web.Request) -> web.Response:
        return web.json_response(self._version)
