"""envoy.service.secret.v3.SecretDiscoveryService on a Unix socket, for a stock Envoy of the same user."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import grpc
from envoy.service.discovery.v3 import discovery_pb2

from mizzen.proxy.app.identity.sds_session import DeltaSession, InvalidRequest, SecretSession, SotwSession
from mizzen.proxy.app.identity.secret_store import SecretStore
from mizzen.runtime.errors import StartError

log = logging.getLogger(__name__)

SERVICE: Final = "envoy.service.secret.v3.SecretDiscoveryService"
MAX_STREAMS: Final = 1000
"""Envoy has one for each name."""
CLOSE_SECONDS: Final = 0.5


class SdsServer:
    """`start`, then `close`."""

    def __init__(self, store: SecretStore) -> None:
        self._store = store
        self._server: Any = None
        self._folder = -1
        self._name = ""

    async def start(self, socket: Path) -> None:
        """Listen, for nobody but this user; raises StartError."""
        try:
            await self._listen(socket)
        except (OSError, RuntimeError) as error:
            raise StartError(f"the socket of Envoy's secrets cannot be made at {socket}: {error}") from error
        log.info("Secrets for Envoy on %s", socket)

    async def close(self) -> None:
        """End all streams, and leave no socket behind."""
        if self._server is not None:
            await self._server.stop(CLOSE_SECONDS)
        if self._folder >= 0:
            with suppress(FileNotFoundError):
                os.unlink(self._name, dir_fd=self._folder)
            os.close(self._folder)
            self._folder = -1

    async def _listen(self, socket: Path) -> None:
        """By way of its open folder: what a socket may be called has an end at 107 characters."""
        socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._name = os.open(socket.parent, os.O_DIRECTORY | os.O_CLOEXEC), socket.name
        with suppress(FileNotFoundError):
            os.unlink(self._name, dir_fd=self._folder)
        server = grpc.aio.server(maximum_concurrent_rpcs=MAX_STREAMS)
        server.add_generic_rpc_handlers((self._handler(),))
        before = os.umask(0o177)  # a client of another user must not be in the queue before the mode is set
        try:
            server.add_insecure_port(f"unix:/proc/self/fd/{self._folder}/{self._name}")
        finally:
            os.umask(before)
        await server.start()
        self._server = server

    def _handler(self) -> Any:
        async def stream(requests: Any, context: Any) -> None:
            await self._serve(SotwSession(self._store.find), context)

        async def delta(requests: Any, context: Any) -> None:
            await self._serve(DeltaSession(self._store.find), context)

        methods = {
            "StreamSecrets": _method(stream, discovery_pb2.DiscoveryRequest, discovery_pb2.DiscoveryResponse),
            "DeltaSecrets": _method(delta, discovery_pb2.DeltaDiscoveryRequest, discovery_pb2.DeltaDiscoveryResponse),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def _serve(self, session: SecretSession, context: Any) -> None:
        """Until the client leaves."""
        with self._store.followed() as changed:
            reading = asyncio.ensure_future(context.read())
            waking = asyncio.ensure_future(changed.wait())
            try:
                while True:
                    await asyncio.wait({reading, waking}, return_when=asyncio.FIRST_COMPLETED)
                    if waking.done():
                        changed.clear()
                        waking = asyncio.ensure_future(changed.wait())
                        await _send(context, session.changed())
                    if reading.done():
                        request = reading.result()
                        if request is grpc.aio.EOF:
                            return
                        reading = asyncio.ensure_future(context.read())
                        await _send(context, session.receive(request))
            except InvalidRequest as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            finally:
                reading.cancel()
                waking.cancel()
                await asyncio.gather(reading, waking, return_exceptions=True)


def _method(handler: Any, request: Any, response: Any) -> Any:
    return grpc.stream_stream_rpc_method_handler(
        handler, request_deserializer=request.FromString, response_serializer=response.SerializeToString
    )


async def _send(context: Any, response: Any | None) -> None:
    if response is not None:
        await context.write(response)
