"""The server of port 15020. It speaks to the proxy beside it as any neighbour would, so both engines have it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

from mizzen.proxy.app.pod.http_client import AnswerError, Peer, ask
from mizzen.proxy.app.pod.metrics import AgentMetrics
from mizzen.proxy.app.pod.probing import Probing
from mizzen.proxy.app.pod.readiness import Readiness
from mizzen.proxy.app.pod.scrape import SCRAPE_SECONDS, Scraper
from mizzen.proxy.app.pod.settings import PodSettings
from mizzen.proxy.app.servers import ANSWER_SECONDS, Handler, HttpServer, Request, Response, Routes
from mizzen.proxy.app.settings import Settings
from mizzen.runtime.address import Address
from mizzen.runtime.lifecycle import Lifecycle

log = logging.getLogger(__name__)

ADMIN_SECONDS = 2.0
MARGIN_SECONDS = 5.0
_DRAIN = "/drain_listeners?graceful&inboundonly&skip_exit"
_PROBES = ("/app-health/", "/app-lifecycle/")


class PodPages:
    """Handlers over one proxy; `pod` are its settings' `pod`."""

    def __init__(self, settings: Settings, pod: PodSettings, lifecycle: Lifecycle) -> None:
        self._admin = reachable(settings.admin_address)
        self._pod = pod
        self._lifecycle = lifecycle
        self._metrics = AgentMetrics(time.time())
        self._readiness = Readiness(self._admin, stock=settings.engine == "envoy")
        proxy = reachable(settings.prometheus_address)
        self._scraper = Scraper(proxy, pod.localhost, pod.targets, self._metrics)
        self._was_ready = False

    def routes(self) -> Routes:
        """All pages."""
        probing = Probing(self._pod.application, self._pod.source, self._pod.address.port)
        return {
            ("GET", "/healthz/ready"): self._ready,
            ("GET", "/metrics"): self._scraper.page,
            ("GET", "/stats/prometheus"): self._scraper.page,
            ("POST", "/quitquitquit"): local(self._quit),
            ("POST", "/drain"): local(self._drain),
            **{("GET", path): probing.handler(prober) for path, prober in self._pod.probers.items()},
        }

    def longest(self) -> float:
        """Seconds that a page may take."""
        probes = (prober.seconds for prober in self._pod.probers.values())
        return max(ANSWER_SECONDS, SCRAPE_SECONDS[1], *probes) + MARGIN_SECONDS

    async def unknown(self, request: Request) -> Response:
        """A probe that injection did not write down is a mistake of who asks."""
        if request.path.startswith(_PROBES):
            return Response(f"no probe of the application is known for {request.path}\n", 400)
        return Response("invalid path\n", 404)

    async def _ready(self, request: Request) -> Response:
        problem = "server is not live, current state is: DRAINING"
        if not self._lifecycle.stopping:
            try:
                async with asyncio.timeout(ADMIN_SECONDS):
                    problem = await self._readiness.problem()
            except (OSError, AnswerError) as error:  # TimeoutError is an OSError
                problem = f"the proxy's admin interface at {self._admin} does not answer: {error}"
        self._note(problem)
        return Response(f"{problem or 'ready'}\n", 503 if problem else 200)

    def _note(self, problem: str) -> None:
        if not problem and self._metrics.ready_after is None:
            self._metrics.ready_after = time.time() - self._metrics.started
        if bool(problem) == self._was_ready:
            log.log(logging.WARNING if problem else logging.INFO, "The proxy is %s", problem or "ready")
        self._was_ready = not problem

    async def _quit(self, request: Request) -> Response:
        self._lifecycle.stop("/quitquitquit")
        return Response("OK\n")

    async def _drain(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(ADMIN_SECONDS):
                answer = await ask(Peer(self._admin), "POST", _DRAIN, (("Host", str(self._admin)),), 1024)
        except (OSError, AnswerError) as error:
            return Response(f"the proxy's admin interface at {self._admin} does not answer: {error}\n", 503)
        return Response(answer.body.decode("utf-8", "surrogateescape"), answer.status)


def local(handler: Handler) -> Handler:
    """The handler, for whoever asks from this Pod."""

    async def guarded(request: Request) -> Response:
        if not ip_address(request.client).is_loopback:
            return Response("Only requests from localhost are allowed\n", 403)
        return await handler(request)

    return guarded


def reachable(address: Address) -> Address:
    """Where to reach a server of this machine that listens at `address`."""
    return Address({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host), address.port)


async def serve_with_pod(
    engine: Callable[[Settings, Lifecycle], Awaitable[None]],
    pod: PodSettings,
    settings: Settings,
    lifecycle: Lifecycle,
) -> None:
    """Run the engine with the Pod's server around it. Raises StartError.

    The server comes first and goes last: the kubelet's probes are answered while the proxy starts and while it drains.
    """
    pages = PodPages(settings, pod, lifecycle)
    server = HttpServer(pages.routes(), pages.unknown, pages.longest())
    try:
        log.info("Readiness, metrics and probes on %s", await server.start(pod.address))
        await engine(settings, lifecycle)
    finally:
        await server.close()
