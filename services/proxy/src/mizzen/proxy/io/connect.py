"""Opening connections to endpoints, and how addresses are written."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias, cast

from mizzen.proxy.engine.stats import TlsStats
from mizzen.proxy.io.tls import TlsConnection
from mizzen.proxy.io.tls_contexts import Security

Address: TypeAlias = tuple[str, int]


class ClientSecurity(NamedTuple):
    """How a connection is secured, and what counts that."""

    security: Security
    stats: TlsStats


class ConnectFailed(Protocol):
    """Hears why a connection was not made, in Envoy's words where it has some."""

    def __call__(self, reason: str, *, timed_out: bool) -> None: ...


class Connector:
    """Starts connections; the protocol's `connection_made` or `failed` follows, once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()

    def connect(
        self,
        factory: Callable[[], asyncio.Protocol],
        address: Address,
        limit: float,
        failed: ConnectFailed,
        source: str = "",
        security: ClientSecurity | None = None,
    ) -> None:
        """Connect to an IP address and port within `limit` seconds, from `source` unless that is empty.

        With `security`, the protocol speaks through TLS, and the handshake is part of connecting.
        """
        task = self._loop.create_task(self._connect(factory, address, limit, failed, source, security))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(
        self,
        factory: Callable[[], asyncio.Protocol],
        address: Address,
        limit: float,
        failed: ConnectFailed,
        source: str,
        security: ClientSecurity | None,
    ) -> None:
        local = (source, 0) if source else None
        try:
            async with asyncio.timeout(limit or None) as deadline:
                if security is None:
                    await self._loop.create_connection(lambda: _Attempt(factory, deadline), *address, local_addr=local)
                    return
                raw, _ = await self._loop.create_connection(asyncio.Protocol, *address, local_addr=local)
                await secure(raw, security, address, _Attempt(factory, deadline).connection_made)
        except NotSecured as error:
            failed(f"TLS_error: {error}", timed_out=False)
        except TimeoutError as error:
            timed_out = error.errno is None  # else it is the kernel's ETIMEDOUT
            failed(
                "connection timeout" if timed_out else "delayed connect error: Connection timed out",
                timed_out=timed_out,
            )
        except (OSError, ValueError, OverflowError) as error:  # not an address, not a port
            failed(f"delayed connect error: {_explain(error)}", timed_out=False)


class NotSecured(ConnectionError):
    """The handshake failed; the message says why."""


async def secure(
    raw: asyncio.Transport, client: ClientSecurity, address: Address, made: Callable[[TlsConnection], None]
) -> None:
    """Begin TLS, whose inside `made` gets, to give it a protocol; raises NotSecured."""
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ready(connection: TlsConnection) -> None:
        made(connection)
        if not over.done():
            over.set_result(None)

    def failed(reason: str) -> None:
        if not over.done():
            over.set_exception(NotSecured(reason))

    try:
        security = client.security
        TlsConnection(security, client.stats, ready, failed, security.session(address)).begin(raw)
        await over
    except BaseException:
        raw.abort()
        raise


class _Attempt(asyncio.Protocol):
    """Makes room for the factory's protocol when the connection is made in time.

    The loop makes a connection a turn or two before it says so, and the deadline may pass in between.
    """

    def __init__(self, factory: Callable[[], asyncio.Protocol], deadline: asyncio.Timeout) -> None:
        self._factory = factory
        self._deadline = deadline

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        connection = cast("asyncio.Transport", transport)
        if self._deadline.expired():
            connection.abort()
            return
        self._deadline.reschedule(None)
        protocol = self._factory()
        connection.set_protocol(protocol)
        protocol.connection_made(connection)


def _explain(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return str(error)


def address_text(name: tuple[str, int] | None) -> str:
    """`ip:port`, `[v6]:port` of a socket name; "" for none."""
    if not name:
        return ""
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
