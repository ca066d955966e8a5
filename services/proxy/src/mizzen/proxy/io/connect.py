"""Opening connections to endpoints, and how addresses are written."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Protocol, TypeAlias

Address: TypeAlias = tuple[str, int]


class ConnectFailed(Protocol):
    """Hears why a connection was not made, in Envoy's words where it has some."""

    def __call__(self, reason: str, *, timed_out: bool) -> None: ...


class Connector:
    """Starts connections; the protocol's `connection_made` or `failed` follows, once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()

    def connect(
        self, factory: Callable[[], asyncio.Protocol], address: Address, limit: float, failed: ConnectFailed
    ) -> None:
        """Connect to an IP address and port within `limit` seconds."""
        task = self._loop.create_task(self._connect(factory, address, limit, failed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(
        self, factory: Callable[[], asyncio.Protocol], address: Address, limit: float, failed: ConnectFailed
    ) -> None:
        try:
            async with asyncio.timeout(limit or None):
                transport, _ = await self._loop.create_connection(factory, *address)
        except TimeoutError as error:
            timed_out = error.errno is None  # else it is the kernel's ETIMEDOUT
            failed(
                "connection timeout" if timed_out else "delayed connect error: Connection timed out",
                timed_out=timed_out,
            )
        except OSError as error:
            text = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            failed(f"delayed connect error: {text}", timed_out=False)
        else:
            set_no_delay(transport)


def set_no_delay(transport: asyncio.BaseTransport) -> None:
    """Send small writes at once; uvloop sets this for TCP by itself, other loops may not."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def address_text(name: tuple[str, int] | None) -> str:
    """`ip:port`, `[v6]:port` of a socket name; "" for none."""
    if not name:
        return ""
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
