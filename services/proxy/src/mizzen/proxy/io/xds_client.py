"""The gRPC side of the ADS client: one stream at a time, for ever. The decisions are in `snapshot.ads_session`."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from envoy.service.discovery.v3 import discovery_pb2
from google.rpc import code_pb2
from google.rpc import status_pb2 as rpc_status_pb2

from mizzen.proto import status_pb2
from mizzen.proxy.snapshot.ads_session import AdsSession, Delivery
from mizzen.proxy.snapshot.result import Rejected, Unsupported
from mizzen.runtime.backoff import Backoff

log = logging.getLogger(__name__)

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
PROXY_STATUS = "type.googleapis.com/mizzen.status.v1.ProxyStatus"
RETRY_SECONDS = 1.0
"""How often listeners whose address was in use are tried again; the session knows when the rest is."""
QUIET_SECONDS = 5.0
"""So long without Pilot is usual, when both start together or Pilot is started again: no reason for a warning."""
OPTIONS = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)

Apply = Callable[[Delivery], Awaitable[tuple[Rejected, ...]]]
"""Gives plans to the workers; returns the listeners that could not be opened."""


ChannelCredentials = Callable[[], Awaitable[grpc.ChannelCredentials]]


class XdsClient:
    """Keeps a stream to Pilot open and the workers up to date; without Pilot they keep what they have."""

    def __init__(
        self, address: str, session: AdsSession, apply: Apply, credentials: ChannelCredentials | None = None
    ) -> None:
        """`credentials` are asked for at each connection, to have those of the day; None: plain text."""
        self._credentials = credentials
        self._address = address
        self._session = session
        self._apply = apply
        self._outbox: asyncio.Queue[Any] = asyncio.Queue()
        self._reported: dict[Unsupported, int] = {}
        self._delivering = asyncio.Lock()
        self._heard = 0.0
        """When Pilot was there the last time, or this client began; seconds of the event loop."""
        self.connected = False

    async def run(self) -> None:
        """Until cancelled: connect, follow the stream, and after its end wait a little longer each time."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._retry())

    async def _channel(self) -> Any:
        if self._credentials is None:
            return grpc.aio.insecure_channel(self._address, options=OPTIONS)
        return grpc.aio.secure_channel(self._address, await self._credentials(), options=OPTIONS)

    async def _follow(self) -> None:
        backoff = Backoff(base=0.2, maximum=5.0)
        clock = asyncio.get_running_loop().time
        self._heard = clock()
        while True:
            try:
                async with await self._channel() as channel:
                    await self._one_stream(channel, backoff)
                log.info("%s ended the stream", self._address)
            except grpc.aio.AioRpcError as error:
                level = logging.INFO if clock() - self._heard < QUIET_SECONDS else logging.WARNING
                log.log(level, "no configuration from %s: %s", self._address, error.details())
            except Exception:
                log.exception("the stream from %s ended by a fault of this proxy", self._address)
            await asyncio.sleep(backoff.next(random.random()))

    async def _one_stream(self, channel: Any, backoff: Backoff) -> None:
        self._outbox = asyncio.Queue()
        self._reported = {}
        self._send(self._session.open())
        call = channel.stream_stream(
            METHOD,
            request_serializer=discovery_pb2.DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=discovery_pb2.DeltaDiscoveryResponse.FromString,
        )(self._requests())
        try:
            async for response in call:
                self.connected = True
                self._session.receive(response)
                await self._deliver()
                backoff.reset()
        finally:
            if self.connected:
                self._heard = asyncio.get_running_loop().time()
            self.connected = False
            call.cancel()

    async def _retry(self) -> None:
        """Give the workers what they refused, or what a fault kept from them; after a fault less and less often."""
        backoff = Backoff(base=2 * RETRY_SECONDS, maximum=30.0)
        pause = RETRY_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = RETRY_SECONDS
            if self._session.retry(asyncio.get_running_loop().time()) and not await self._deliver():
                pause = backoff.next(random.random())
            else:
                backoff.reset()

    async def _deliver(self) -> bool:
        """Give the workers what is due and answer Pilot; False after a fault, which leaves due what was."""
        try:
            async with self._delivering:  # a retry and a response must not overtake each other
                delivery = self._session.take()
                if delivery is not None:
                    refused = await self._apply(delivery)
                    self._session.delivered(delivery, refused, asyncio.get_running_loop().time())
            self._answer()
        except Exception:
            log.exception("an update could not be delivered; it is tried again")
            return False
        return True

    def _answer(self) -> None:
        requests = self._session.requests()
        for request in requests:
            if request.HasField("error_detail"):
                log.error("rejected: %s", request.error_detail.message)
        self._send(requests)
        self._report()

    def _report(self) -> None:
        """Tell Pilot, and whoever reads the log, what has no effect; only when that changed."""
        unsupported = self._session.store.unsupported()
        if unsupported == self._reported or not self._session.ready:
            return
        for item in unsupported.keys() - self._reported.keys():
            log.warning("%s has no effect%s", item.field, f" (asked for by {item.origin})" if item.origin else "")
        self._reported = unsupported
        status = status_pb2.ProxyStatus(
            unsupported=[
                status_pb2.UnsupportedField(field=item.field, origin=item.origin, count=count)
                for item, count in sorted(unsupported.items())
            ]
        )
        detail = rpc_status_pb2.Status(code=code_pb2.OK)
        detail.details.add().Pack(status)
        self._send([discovery_pb2.DeltaDiscoveryRequest(type_url=PROXY_STATUS, error_detail=detail)])

    def _send(self, requests: list[Any]) -> None:
        for request in requests:
            self._outbox.put_nowait(request)

    async def _requests(self) -> AsyncIterator[Any]:
        outbox = self._outbox
        while True:
            yield await outbox.get()
