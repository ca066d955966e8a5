"""HTTPS: `/inject` and `/inject/cluster/C/net/N`."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram

from mizzen.injector.injection.settings import Settings
from mizzen.injector.webhook.admission import Answer, BadReview, answer
from mizzen.runtime.address import Address, explain_bind_error
from mizzen.runtime.errors import StartError

log = logging.getLogger(__name__)

MAX_BODY = 8 << 20
"""Of a review: an object of etcd's largest size, twice."""
SHUTDOWN_SECONDS = 5.0


class Metrics:
    """Istio's names."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter("sidecar_injection_requests", "Reviews received.", registry=registry)
        self.outcomes = {
            "injected": Counter("sidecar_injection_success", "Pods injected.", registry=registry),
            "skipped": Counter("sidecar_injection_skip", "Pods left as they are.", registry=registry),
            "refused": Counter("sidecar_injection_failure", "Reviews of no use, Pods refused.", registry=registry),
        }
        self.seconds = Histogram("sidecar_injection_time_seconds", "Time to answer a review.", registry=registry)


class WebhookServer:
    """Serves while between `start` and `close`."""

    def __init__(self, settings: Callable[[], Settings], registry: CollectorRegistry) -> None:
        self._settings = settings
        self._metrics = Metrics(registry)
        application = web.Application(client_max_size=MAX_BODY)
        application.router.add_post("/inject", self._inject)
        application.router.add_post("/inject/{place:.+}", self._inject)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        self._address: Address | None = None

    @property
    def address(self) -> Address:
        """Where it listens, with the port that the system chose for port 0."""
        if self._address is None:
            raise RuntimeError("the webhook server was not started")
        return self._address

    async def start(self, address: Address, context: ssl.SSLContext) -> None:
        """Listen; raises StartError that names the address."""
        await self._runner.setup()
        try:
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            listener = socket.create_server((address.host, address.port), family=family, backlog=128)
        except OSError as error:
            await self._runner.cleanup()
            raise StartError(explain_bind_error(address, error)) from error
        self._address = Address(address.host, listener.getsockname()[1])
        await web.SockSite(self._runner, listener, ssl_context=context).start()

    async def close(self) -> None:
        """Stop listening and answer what is under way."""
        await self._runner.cleanup()

    async def _inject(self, request: web.Request) -> web.Response:
        self._metrics.requests.inc()
        if request.content_type != "application/json":
            self._metrics.outcomes["refused"].inc()
            raise web.HTTPUnsupportedMediaType(text=f"want application/json, not {request.content_type}\n")
        with self._metrics.seconds.time():
            try:
                found = answer(await request.read(), request.path, self._settings())
            except BadReview as error:
                self._metrics.outcomes["refused"].inc()
                raise web.HTTPBadRequest(text=f"{error}\n") from error
        self._metrics.outcomes[found.outcome].inc()
        _tell(found)
        return web.json_response(found.review)


def _tell(found: Answer) -> None:
    if found.outcome == "refused":
        log.warning("%s", found.reason)
    else:
        log.info("Pod %s is %s: %s", found.pod or "-", found.outcome, found.reason)
