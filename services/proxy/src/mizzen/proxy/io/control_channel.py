"""The worker's end of its Unix socket to the agent (`engine.control`): frames, and the sockets that travel with them.

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

from mizzen.proxy.engine.control import FromWorker, ToWorker, Update

_LENGTH = struct.Struct("!I")
_MAX_DESCRIPTORS = 250
"""The kernel allows 253 in one message (SCM_MAX_FD)."""
_CHUNK = 256 * 1024


class AgentGone(Exception):
    """The agent closed its end, or died."""


class ControlChannel:
    """Receives messages with their sockets, sends answers."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._buffer = bytearray()
        self._descriptors: deque[int] = deque()

    async def receive(self) -> tuple[ToWorker, dict[str, socket.socket]]:
        """The next message, and the listening sockets by listener name. AgentGone at the end."""
        while True:
            message = self._take()
            if message is not None:
                return message, self._sockets(message)
            await self._fill()

    async def send(self, message: FromWorker) -> None:
        """Write one frame. AgentGone when nobody reads it."""
        payload = pickle.dumps(message, protocol=5)
        try:
            await asyncio.get_running_loop().sock_sendall(self._sock, _LENGTH.pack(len(payload)) + payload)
        except OSError as error:
            raise AgentGone(str(error)) from error

    def close(self) -> None:
        """Close the socket and descriptors that no message claimed."""
        while self._descriptors:
            socket.close(self._descriptors.popleft())
        self._sock.close()

    def _take(self) -> ToWorker | None:
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        message: ToWorker = pickle.loads(payload)  # noqa: S301  # the agent started us: one trust domain
        return message

    def _sockets(self, message: ToWorker) -> dict[str, socket.socket]:
        if not isinstance(message, Update):
            return {}
        return {name: socket.socket(fileno=self._descriptors.popleft()) for name in message.sockets}

    async def _fill(self) -> None:
        while True:
            try:
                data, ancillary, _, _ = self._sock.recvmsg(_CHUNK, socket.CMSG_SPACE(_MAX_DESCRIPTORS * 4))
            except BlockingIOError:
                await self._readable()
                continue
            except OSError as error:
                raise AgentGone(str(error)) from error
            break
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors = array.array("i")
                descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
                self._descriptors.extend(descriptors)
        if not data:
            raise AgentGone("the agent closed the channel")
        self._buffer += data

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._sock, _wake, ready)
        try:
            await ready
        finally:
            loop.remove_reader(self._sock)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
