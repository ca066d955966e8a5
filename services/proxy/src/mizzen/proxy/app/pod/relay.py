"""A way for gRPC's client, which knows neither SPIFFE ids nor the certificates of a mesh, through the proxy's own TLS.

The client speaks plain text to a Unix socket of this process; behind it the bytes go to one endpoint. The socket is an
abstract one, since a sidecar may have no file system to write to, and the kernel says who is at the other end: nobody
but this process is served.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import struct
from collections.abc import Coroutine
from contextlib import suppress
from typing import Final

from mizzen.proxy.app.pod.http_client import CHUNK, Peer, connect

_CREDENTIALS: Final = struct.Struct("3i")
"""Process, user, group: `struct ucred`."""
_GOODBYE_SECONDS: Final = 1.0


class Relay:
    """To one endpoint. `open` it, then whatever connects to `target` is connected with the endpoint, until `close`."""

    def __init__(self, peer: Peer, limit: float) -> None:
        """`limit`: seconds for a connection and its handshake."""
        self.failure = ""
        """Why the endpoint was not reached the last time; empty when it was."""
        self._peer = peer
        self._limit = limit
        self._name = f"mizzen-{secrets.token_hex(16)}"
        self._server: asyncio.Server | None = None
        self._closed = False
        self._running: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def target(self) -> str:
        """As gRPC takes it."""
        return f"unix-abstract:{self._name}"

    async def open(self) -> None:
        """Listen; raises OSError."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.bind(f"\0{self._name}")
            self._server = await asyncio.start_unix_server(self._arrived, sock=sock, start_serving=False)
            await self._server.start_serving()
        except BaseException:
            if self._server is not None:
                self._server.close()  # the loop may look at the socket already
            sock.close()
            raise

    async def close(self) -> None:
        """Cut what is connected. Who connects to `target` must have ended: the name is free from now on."""
        self._closed = True
        if self._server is not None:
            self._server.close()
        running = dict(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for writer in running.values():
            writer.transport.abort()  # a task that had not begun closes nothing

    def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The loop may have accepted a connection before the server was closed, and tell of it only now.
        if self._closed or not _is_own(writer.get_extra_info("socket")):
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._running[task] = writer
        task.add_done_callback(self._running.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(self._limit):
                far_reader, far_writer = await connect(self._peer)
            self.failure = ""
            try:
                await _either(_pump(reader, far_writer), _pump(far_reader, writer))
            finally:
                await _close(far_writer)
        except TimeoutError as error:
            self.failure = str(error) or f"no connection within {self._limit:g} s"
        except (OSError, ValueError, OverflowError) as error:  # not an address, not a port
            self.failure = str(error) or type(error).__name__
        finally:
            await _close(writer)


def _is_own(sock: socket.socket) -> bool:
    """Whether this process is at the other end."""
    told = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(told)[0] == os.getpid())


async def _either(*pumps: Coroutine[None, None, None]) -> None:
    """Until one of them ends, for HTTP/2 knows no half of a connection; raises what ended it."""
    tasks = [asyncio.create_task(pump) for pump in pumps]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        with suppress(OSError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await writer.wait_closed()
    finally:
        writer.transport.abort()  # also when the relay is closed meanwhile
