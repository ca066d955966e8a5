"""One end of the Unix socket between agent and worker (`engine.control`): frames, and the sockets that go with them.

Reading is done by hand on the raw socket: descriptors arrive with the first bytes of the frame that names them, and
asyncio's streams do not hand them out.
"""

from __future__ import annotations

import array
import asyncio
import pickle
import socket
import struct
from collections import deque
from collections.abc import Mapping
from typing import Generic, TypeVar

from mizzen.proxy.engine.control import Update

_LENGTH = struct.Struct("!I")
_MAX_DESCRIPTORS = 250
"""The kernel allows 253 in one message (SCM_MAX_FD)."""
_CHUNK = 256 * 1024
_NO_SOCKETS: Mapping[str, socket.socket] = {}

Received = TypeVar("Received")
Sent = TypeVar("Sent")


class PeerGone(Exception):
    """The other process closed its end, or died."""


class ControlChannel(Generic[Received, Sent]):
    """Receives messages with their sockets, sends messages with theirs; one reader and one writer at a time."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._buffer = bytearray()
        self._descriptors: deque[int] = deque()

    async def receive(self) -> tuple[Received, dict[str, socket.socket]]:
        """The next message, and the listening sockets by listener name. PeerGone at the end."""
        while True:
            message = self._take()
            if message is not None:
                return message, self._sockets(message)
            await self._fill()

    async def send(self, message: Sent, sockets: Mapping[str, socket.socket] = _NO_SOCKETS) -> None:
        """Write one frame; an Update takes the sockets that it names with it. PeerGone when nobody reads it."""
        payload = pickle.dumps(message, protocol=5)
        frame = _LENGTH.pack(len(payload)) + payload
        names = message.sockets if isinstance(message, Update) else ()
        descriptors = [sockets[name].fileno() for name in names]
        try:
            while descriptors:  # each batch rides on one byte of the frame
                await self._send_descriptors(frame[:1], descriptors[:_MAX_DESCRIPTORS])
                frame, descriptors = frame[1:], descriptors[_MAX_DESCRIPTORS:]
            await asyncio.get_running_loop().sock_sendall(self._sock, frame)
        except OSError as error:
            raise PeerGone(str(error)) from error

    def close(self) -> None:
        """Close the socket and descriptors that no message claimed."""
        while self._descriptors:
            socket.close(self._descriptors.popleft())
        self._sock.close()

    def _take(self) -> Received | None:
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        message: Received = pickle.loads(payload)  # noqa: S301  # the agent starts the worker: one trust domain
        return message

    def _sockets(self, message: Received) -> dict[str, socket.socket]:
        if not isinstance(message, Update):
            return {}
        return {name: socket.socket(fileno=self._descriptors.popleft()) for name in message.sockets}

    async def _fill(self) -> None:
        while True:
            try:
                data, ancillary, flags, _ = self._sock.recvmsg(_CHUNK, socket.CMSG_SPACE(_MAX_DESCRIPTORS * 4))
            except BlockingIOError:
                await self._readable()
                continue
            except OSError as error:
                raise PeerGone(str(error)) from error
            break
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors = array.array("i")
                descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
                self._descriptors.extend(descriptors)
        if flags & socket.MSG_CTRUNC:
            raise PeerGone("sockets were lost on the way: too many open files")
        if not data:
            raise PeerGone("the channel was closed")
        self._buffer += data

    async def _send_descriptors(self, byte: bytes, descriptors: list[int]) -> None:
        while True:
            try:
                socket.send_fds(self._sock, [byte], descriptors)
            except BlockingIOError:
                await self._writable()
                continue
            return

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._sock, _wake, ready)
        try:
            await ready
        finally:
            loop.remove_reader(self._sock)

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_writer(self._sock, _wake, ready)
        try:
            await ready
        finally:
            loop.remove_writer(self._sock)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
