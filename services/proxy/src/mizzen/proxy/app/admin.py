"""Envoy's admin interface: its paths, its formats."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Collection
from typing import Any

from mizzen.proxy.app import prometheus, stats_page
from mizzen.proxy.app.cluster_page import clusters_json, clusters_text
from mizzen.proxy.app.config_dump import config_dump, unsupported
from mizzen.proxy.app.delivery import DIRECTIONS
from mizzen.proxy.app.istio_metrics import labelled
from mizzen.proxy.app.server_stats import server_stats
from mizzen.proxy.app.servers import Request, Response, Routes
from mizzen.proxy.app.state import AgentState
from mizzen.proxy.app.statistics import add
from mizzen.proxy.engine.control import Stats
from mizzen.runtime.lifecycle import Lifecycle

log = logging.getLogger(__name__)

LEVELS = {
    "trace": "DEBUG",
    "debug": "DEBUG",
    "info": "INFO",
    "warning": "WARNING",
    "warn": "WARNING",
    "error": "ERROR",
    "critical": "CRITICAL",
    "off": "CRITICAL",
}
"""Envoy's levels as those of the logging module."""

HELP = """\
admin commands are:
  /clusters: upstream cluster status
  /config_dump: what this proxy works with (?include_eds, ?resource=<field>)
  /debug/<config|handlers|rules|attributes>: Mixer's rules, where Mixer is embedded in this agent
  /drain_listeners (POST): stop taking connections (?graceful, ?inboundonly, ?skip_exit)
  /help: this page
  /listeners: where this proxy listens
  /logging (POST): query or change log levels (?level=<level>)
  /quitquitquit (POST): exit
  /ready: LIVE with status 200, else the state with 503
  /server_info: version, state, uptime and node
  /stats: counters, gauges, histograms (?filter=<regex>, ?usedonly, ?type=<Counters|Gauges|Histograms>, ?format=json)
  /stats/prometheus: the same for Prometheus
  /unsupported: accepted configuration that has no effect
"""


class AdminPages:
    """Handlers over one agent."""

    def __init__(self, state: AgentState, lifecycle: Lifecycle) -> None:
        self._state = state
        self._lifecycle = lifecycle
        self._closing: set[asyncio.Task[None]] = set()

    def admin_routes(self) -> Routes:
        """Everything, for the admin port."""
        return {
            ("GET", "/"): self._help,
            ("GET", "/help"): self._help,
            ("GET", "/ready"): self._ready,
            ("GET", "/stats"): self._stats,
            ("GET", "/stats/prometheus"): self._prometheus,
            ("GET", "/clusters"): self._clusters,
            ("GET", "/listeners"): self._listeners,
            ("GET", "/config_dump"): self._config_dump,
            ("GET", "/server_info"): self._server_info,
            ("GET", "/unsupported"): self._unsupported,
            ("POST", "/logging"): self._logging,
            ("POST", "/quitquitquit"): self._quit,
            ("POST", "/drain_listeners"): self._drain_listeners,
        }

    def status_routes(self) -> Routes:
        """For probes."""
        return {("GET", "/healthz/ready"): self._ready}

    def prometheus_routes(self) -> Routes:
        """For scrapers."""
        return {("GET", "/stats/prometheus"): self._prometheus}

    async def _help(self, request: Request) -> Response:
        return Response(HELP)

    async def _ready(self, request: Request) -> Response:
        name = self._state.name
        return Response(f"{name}\n", status=200 if name == "LIVE" else 503)

    async def _collect(self) -> Stats:
        state = self._state
        counted = labelled(await state.workers.stats(), state.settings.node, state.session.store)
        return add(counted, server_stats(state, time.time()))

    async def _stats(self, request: Request) -> Response:
        form = request.query.get("format", "")
        if form == "prometheus":
            return await self._prometheus(request)
        try:
            selection = stats_page.Selection.of(request.query)
        except ValueError as error:
            return Response(f"{error}\n", status=400)
        stats = await self._collect()
        if form == "json":
            return _json(stats_page.as_json(stats, selection))
        return Response(stats_page.as_text(stats, selection))

    async def _prometheus(self, request: Request) -> Response:
        try:
            selection = stats_page.Selection.of(request.query)
        except ValueError as error:
            return Response(f"{error}\n", status=400)
        text = prometheus.exposition(await self._collect(), selection)
        return Response(text, content_type=prometheus.CONTENT_TYPE)

    async def _clusters(self, request: Request) -> Response:
        stats = await self._state.workers.stats()
        held = self._state.session.store.kinds["cluster"]
        plans = [item.plan for item in held.values()]
        if request.query.get("format") == "json":
            return _json(clusters_json(plans, stats))
        return Response(clusters_text(plans, stats))

    async def _listeners(self, request: Request) -> Response:
        plans = self._state.deliverer.listeners.values()
        if request.query.get("format") == "json":
            statuses = [
                {
                    "name": plan.name,
                    "local_address": {"socket_address": {"address": plan.address, "port_value": plan.port}},
                }
                for plan in plans
            ]
            return _json({"listener_statuses": statuses})
        return Response("".join(f"{plan.name}::{plan.address}:{plan.port}\n" for plan in plans))

    async def _config_dump(self, request: Request) -> Response:
        query = request.query
        try:
            return _json(config_dump(self._state, "include_eds" in query, query.get("resource", "")))
        except LookupError as error:
            return Response(f"{error.args[0]}\n", status=404)

    async def _server_info(self, request: Request) -> Response:
        from importlib.metadata import version  # pulls in email and zipfile, 2 MB

        settings, uptime = self._state.settings, f"{int(time.time() - self._state.started)}s"
        node = settings.node
        info = {
            "version": f"mizzen/{version('mizzen-proxy')}",
            "state": self._state.name,
            "uptime_current_epoch": uptime,
            "uptime_all_epochs": uptime,
            "hot_restart_version": "disabled",
            "command_line_options": {
                "concurrency": settings.concurrency,
                "log_level": settings.log_level,
                "service_cluster": node.cluster,
                "service_node": node.id,
                "drain_time": f"{settings.drain_seconds:g}s",
                "mode": "Serve",
            },
            "node": {
                "id": node.id,
                "cluster": node.cluster,
                "metadata": dict(settings.node.metadata),
            },
        }
        return _json(info)

    async def _unsupported(self, request: Request) -> Response:
        return _json({"unsupported": unsupported(self._state)})

    async def _logging(self, request: Request) -> Response:
        wanted = request.query.get("level")
        if wanted is not None:
            level = LEVELS.get(wanted.lower())
            if level is None:
                return Response(f"error: unknown level {wanted!r}; one of {', '.join(LEVELS)}\n", status=400)
            logging.getLogger().setLevel(level)
            await self._state.workers.set_level(level)
        current = logging.getLevelName(logging.getLogger().level).lower()
        return Response(text=f"active loggers:\n  agent: {current}\n  workers: {self._state.workers.level.lower()}\n")

    async def _quit(self, request: Request) -> Response:
        self._lifecycle.stop("/quitquitquit")
        return Response("OK\n")

    async def _drain_listeners(self, request: Request) -> Response:
        graceful, query = "graceful" in request.query, request.query
        if "skip_exit" in query and not graceful:
            return Response("skip_exit requires graceful\n", status=400)
        if graceful:
            await self._state.workers.drain()
        if "skip_exit" not in query:
            pause = self._state.settings.drain_seconds if graceful else 0.0
            closing = asyncio.create_task(self._close(pause, ("inbound",) if "inboundonly" in query else DIRECTIONS))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            if not graceful:
                await asyncio.shield(closing)  # it goes on when this request takes too long
        return Response("OK\n")

    async def _close(self, pause: float, directions: Collection[str]) -> None:
        await asyncio.sleep(pause)
        try:
            await self._state.deliverer.close_listeners(directions)
        except Exception:
            log.exception("the listeners could not be closed")


def _json(value: Any) -> Response:
    return Response(json.dumps(value, indent=1) + "\n", content_type="application/json")
