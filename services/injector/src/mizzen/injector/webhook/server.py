"""HTTPS: `/inject`, `/inject/cluster/C/net/N`, and `/validate`."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram

from mizzen.injector.injection.settings import Settings
from mizzen.injector.webhook.admission import answer
from mizzen.injector.webhook.review import Answer, BadReview
from mizzen.injector.webhook.validation import validated
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
        self.validations = {
            "valid": Counter("galley_validation_passed", "Configuration that was accepted.", registry=registry),
            "refused": Counter("galley_validation_failed", "Configuration that was refused.", registry=registry),
        }
        self.bad_reviews = Counter(
            "galley_validation_http_error", "Questions about configuration that were of no use.", registry=registry
        )


class WebhookServer:
    """Serves while between `start` and `close`."""

    def __init__(self, settings: Callable[[], Settings], registry: CollectorRegistry) -> None:
        self._settings = settings
        self._metrics = Metrics(registry)
        application = web.Application(client_max_size=MAX_BODY)
        application.router.add_post("/inject", self._inject)
        application.router.add_post("/inject/{place:.+}", self._inject)
        application.router.add_post("/validate", self._validate)
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
        try:
            body = await _body(request)
            with self._metrics.seconds.time():
                found = answer(body, request.path, self._settings())
        except (web.HTTPException, BadReview) as error:
            self._metrics.outcomes["refused"].inc()
            raise _explained(error) from error
        self._metrics.outcomes[found.outcome].inc()
        return _told(found)

    async def _validate(self, request: web.Request) -> web.Response:
        try:
            found = validated(await _body(request))
        except (web.HTTPException, BadReview) as error:
            self._metrics.bad_reviews.inc()
            raise _explained(error) from error
        self._metrics.validations[found.outcome].inc()
        return _told(found)


async def _body(request: web.Request) -> bytes:
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text=f"want application/json, not {request.content_type}\n")
    return await request.read()


def _explained(error: web.HTTPException | BadReview) -> web.HTTPException:
    return error if isinstance(error, web.HTTPException) else web.HTTPBadRequest(text=f"{error}\n")


def _told(found: Answer) -> web.Response:
    if found.outcome == "refused":
        log.warning("%s", found.reason)
    else:
        log.info("%s is %s: %s", found.subject, found.outcome, found.reason)
    return web.json_response(found.review)
