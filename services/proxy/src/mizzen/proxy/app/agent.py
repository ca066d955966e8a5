"""The engine `python`: follow Pilot, give the workers what it says, and tell people how it goes."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from envoy.config.core.v3 import base_pb2
from google.protobuf import json_format

from mizzen.proxy.app.admin import AdminPages
from mizzen.proxy.app.delivery import Deliverer
from mizzen.proxy.app.extauthz.desk import InquiryDesk
from mizzen.proxy.app.identity.workload import WorkloadIdentity
from mizzen.proxy.app.mixer.addresses import Addresses
from mizzen.proxy.app.mixer.client import MixerCalls
from mizzen.proxy.app.mixer.hub import MixerHub
from mizzen.proxy.app.mixer.pages import mixer_routes
from mizzen.proxy.app.node import Node
from mizzen.proxy.app.servers import HttpServer, Routes
from mizzen.proxy.app.settings import Settings
from mizzen.proxy.app.sockets import ListeningSockets
from mizzen.proxy.app.state import AgentState
from mizzen.proxy.app.workers import Workers
from mizzen.proxy.io.xds_client import XdsClient
from mizzen.proxy.snapshot.ads_session import AdsSession
from mizzen.runtime.errors import StartError
from mizzen.runtime.lifecycle import Lifecycle

if TYPE_CHECKING:
    from mizzen.proxy.app.mixer.embedded import EmbeddedMixer

log = logging.getLogger(__name__)

REPORT_SECONDS = 2.0
"""For the last reports, when the proxy ends."""
STATS_SECONDS = (1.0, 5.0)
"""How often the counters are fetched, so that a worker that dies takes little of them with it: the more they cost (they
grow with the number of clusters), the less often, so that it stays near a hundredth of the time."""


class Agent:
    """One proxy's agent. `start`, then `close`."""

    def __init__(self, settings: Settings, lifecycle: Lifecycle) -> None:
        self._settings = settings
        self._sockets = ListeningSockets()
        self._parts = AsyncExitStack()
        self._background: list[asyncio.Task[None]] = []
        session = AdsSession(node_message(settings.node))
        workers = Workers(settings.concurrency, settings.log_level.upper())
        self._embedded = _embedded(settings)
        deliverer = Deliverer(workers, self._sockets, time.time, session.store.secret_names)
        self._inquiries = InquiryDesk(Addresses(session.store, ""), lambda: deliverer.secrets, random.random)
        self._identity = WorkloadIdentity(settings.identity, deliverer.keep) if settings.identity else None
        credentials = self._identity.channel_credentials if self._identity else None
        addresses = Addresses(session.store, str(settings.mixer_address or ""))
        calls = self._embedded or MixerCalls(addresses.target, settings.mixer_check_seconds, credentials)
        mixer = MixerHub(calls)
        workers.connect(mixer.heard, self._inquiries.heard)
        for_pilot = credentials if settings.has_secure_xds else None
        client = XdsClient(str(settings.discovery_address), session, deliverer.deliver, for_pilot)
        self.state = AgentState(settings, session, workers, deliverer, client, mixer, time.time(), self._identity)
        self._pages = AdminPages(self.state, lifecycle)

    async def start(self) -> None:
        """Open the admin ports, start the workers, and follow Pilot; raises StartError."""
        settings = self._settings
        for address, routes in (
            (settings.admin_address, {**self._pages.admin_routes(), **self._mixer_routes()}),
            (settings.status_address, self._pages.status_routes()),
            (settings.prometheus_address, self._pages.prometheus_routes()),
        ):
            server = HttpServer(routes)
            self._parts.push_async_callback(server.close)
            await server.start(address)
        if self._embedded is not None:
            await self._embedded.load()
            self._background.append(asyncio.create_task(self._embedded.watch()))
        await self.state.workers.start()
        if self._identity is not None:
            self._background.append(asyncio.create_task(self._identity.run()))
        running = (self.state.client.run(), self.state.deliverer.files.watch(), self._sample())
        self._background += [asyncio.create_task(each) for each in running]
        log.info("%s: %d workers, admin on %s", settings.node.id, settings.concurrency, settings.admin_address)

    async def close(self) -> None:
        """Finish requests under way within the grace, then end everything."""
        self.state.draining = True
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._sockets.close()
        await self.state.workers.stop(self._settings.drain_seconds)
        await self._inquiries.close()
        await self.state.mixer.close(REPORT_SECONDS)
        await self._parts.aclose()

    async def run(self) -> None:
        """Return only with the error of a part that must not end."""
        for ended in asyncio.as_completed(self._background):
            await ended

    def _mixer_routes(self) -> Routes:
        return {} if self._embedded is None else mixer_routes(self._embedded.pages())

    async def _sample(self) -> None:
        often, seldom = STATS_SECONDS
        pause = often
        while True:
            await asyncio.sleep(pause)
            began = time.monotonic()
            try:
                await self.state.workers.stats()
            except Exception:
                log.exception("the counters could not be fetched")
            pause = min(max(often, 100 * (time.monotonic() - began)), seldom)


async def serve(settings: Settings, lifecycle: Lifecycle) -> None:
    """The life of the process; raises StartError."""
    agent = Agent(settings, lifecycle)
    try:
        await agent.start()
        stopping = asyncio.ensure_future(lifecycle.wait())
        running = asyncio.ensure_future(agent.run())
        await asyncio.wait({stopping, running}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if running.done():
            running.result()
        running.cancel()
    finally:
        await agent.close()


def _embedded(settings: Settings) -> EmbeddedMixer | None:
    """Mixer's code is only imported, and paid for with memory, where it is wanted. Raises StartError."""
    if settings.embedded_mixer is None:
        return None
    try:
        from mizzen.proxy.app.mixer.embedded import EmbeddedMixer
    except ImportError as error:
        raise StartError(f"--mixer embedded needs mizzen-proxy[mixer]: {error}") from error
    return EmbeddedMixer(settings.embedded_mixer, settings.prometheus_address.host)


def node_message(node: Node) -> Any:
    """envoy.config.core.v3.Node."""
    plain = {"id": node.id, "cluster": node.cluster, "metadata": dict(node.metadata), "user_agent_name": "mizzen"}
    message = base_pb2.Node()
    json_format.ParseDict(plain, message)
    return message
