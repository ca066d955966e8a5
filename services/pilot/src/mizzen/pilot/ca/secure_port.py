"""TLS with client certificates that a client may do without, in front of a gRPC server.

gRPC's Python server either demands a client certificate or does not ask for one, but a proxy that starts has none
yet, and shows a token. So TLS ends here, and the bytes go on over loopback from a port of their own, by which the
server behind finds who is at the other end.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Container
from typing import Final

from cryptography import x509

from mizzen.identity.certificate import identity_of
from mizzen.identity.spiffe import InvalidIdentity, SpiffeId
from mizzen.runtime.address import Address, explain_bind_error
from mizzen.runtime.errors import StartError

log = logging.getLogger(__name__)

LOOPBACK: Final = "127.0.0.1"
HANDSHAKE_SECONDS: Final = 10.0
SHUTDOWN_SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 5.0
CHUNK: Final = 64 * 1024
PAUSE_SECONDS: Final = 0.1
BACKLOG: Final = 1024
MAX_CONNECTIONS: Final = 10_000


class SecurePort:
    """One listening port; `peer` tells who speaks. `start`, then `close`."""

    def __init__(
        self,
        inner: Callable[[], Address],
        trust_domains: Callable[[], Container[str]],
        vouches: Callable[[x509.Certificate], bool],
    ) -> None:
        """`inner` is where the plaintext server listens, on loopback; who is of none of the domains is nobody here.

        `vouches` is asked of certificates that an earlier context has accepted: whether they are still good.
        """
        self._inner = inner
        self._trust_domains = trust_domains
        self._vouches = vouches
        self._peers: dict[int, SpiffeId | None] = {}
        """By the port that a connection goes on from; None for clients without a certificate."""
        self._listening: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._context: ssl.SSLContext | None = None
        self._fresh: set[socket.socket] = set()
        """Accepted, and nobody has begun to serve them."""
        self._connections: set[asyncio.Task[None]] = set()
        self._shown: dict[asyncio.Task[None], x509.Certificate] = {}
        """What clients with a certificate have proved."""

    async def start(self, address: Address, context: ssl.SSLContext) -> None:
        """Listen; raises StartError."""
        self._context = context
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        try:
            self._listening = socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise StartError(explain_bind_error(address, error)) from error
        self._listening.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(self._listening))

    def use(self, context: ssl.SSLContext) -> None:
        """Take another context for new connections: no session that the one before has begun is resumed in it."""
        self._context = context

    def judge_again(self) -> int:
        """End the connections of clients whose certificates are not good any more; how many they are."""
        bad = [task for task, certificate in self._shown.items() if not self._vouches(certificate)]
        for task in bad:
            task.cancel()
        return len(bad)

    @property
    def address(self) -> Address:
        """Where it listens, with the port that the system chose for port 0."""
        if self._listening is None:
            raise RuntimeError("the secure port was not started")
        host, port, *_ = self._listening.getsockname()
        return Address(host, port)

    def peer(self, address: str) -> SpiffeId | None:
        """Who a gRPC peer (`ipv4:127.0.0.1:PORT`) has proved to be; None for nobody."""
        return self._peers.get(_relayed_from(address))

    def came_through(self, address: str) -> bool:
        """Whether a gRPC peer came by this port at all, and not straight to the server behind."""
        return _relayed_from(address) in self._peers

    async def close(self) -> None:
        """End all connections."""
        tasks = list(self._connections)
        if self._accepting is not None:
            tasks.append(self._accepting)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in (*self._fresh, self._listening):
            if each is not None:
                each.close()

    async def _accept(self, listening: socket.socket) -> None:
        """Not by a server of asyncio's, which has one context for ever."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as error:  # the client is gone already, or there are too many open files
                log.warning("Cannot accept a connection: %s", error)
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            if len(self._connections) >= MAX_CONNECTIONS:
                connection.close()
                continue
            self._fresh.add(connection)
            task = asyncio.create_task(self._serve(connection))
            self._connections.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        self._shown.pop(task, None)

    async def _serve(self, connection: socket.socket) -> None:
        self._fresh.discard(connection)
        context = self._context
        assert context is not None  # noqa: S101 - `start` has set it
        try:
            reader, writer = await _secured(connection, context)
        except OSError as error:
            log.debug("No handshake: %s", error)
            return
        try:
            identity = self._admit(writer, is_current=context is self._context)
            await self._relay(reader, writer, self._known(identity))
        except (OSError, InvalidIdentity) as error:
            log.info("Ended the connection of %s: %s", writer.get_extra_info("peername"), error)
        finally:
            writer.transport.abort()

    def _known(self, identity: SpiffeId | None) -> SpiffeId | None:
        """Meshes may share a root, so a good certificate can be another mesh's, with a namespace of the same name."""
        if identity is None or identity.trust_domain in self._trust_domains():
            return identity
        log.warning("%s is of another trust domain: its certificate counts for nothing here", identity)
        return None

    def _admit(self, writer: asyncio.StreamWriter, *, is_current: bool) -> SpiffeId | None:
        """Of the certificate that the handshake has verified, perhaps by an older context; raises InvalidIdentity."""
        encoded = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        if not encoded:
            return None
        certificate = x509.load_der_x509_certificate(encoded)
        if not is_current and not self._vouches(certificate):
            raise InvalidIdentity("its certificate was revoked during the handshake")
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - `_accept` makes it
        self._shown[task] = certificate
        return identity_of(certificate)

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, identity: SpiffeId | None
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as inner:
            inner.setblocking(False)
            inner.bind((LOOPBACK, 0))
            port = inner.getsockname()[1]
            self._peers[port] = identity  # before the server behind can ask
            try:
                address = self._inner()
                async with asyncio.timeout(CONNECT_SECONDS):
                    await asyncio.get_running_loop().sock_connect(inner, (address.host, address.port))
                await _relay(reader, writer, inner)
            finally:
                del self._peers[port]


async def _secured(
    connection: socket.socket, context: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """After the handshake; raises OSError, and the connection is closed then."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(CHUNK, loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.connect_accepted_socket(
        lambda: protocol,
        connection,
        ssl=context,
        ssl_handshake_timeout=HANDSHAKE_SECONDS,
        ssl_shutdown_timeout=SHUTDOWN_SECONDS,
    )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, inner: socket.socket) -> None:
    """Both ways, until either side ends: a gRPC connection has no half-closed life."""
    inner_reader, inner_writer = await asyncio.open_connection(sock=inner, limit=CHUNK)
    try:
        ways = [asyncio.create_task(_copy(reader, inner_writer)), asyncio.create_task(_copy(inner_reader, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
    finally:
        inner_writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()


def _relayed_from(address: str) -> int:
    """The port; 0 for a peer on another address than ours, which may well have a port of the same number."""
    host, _, port = address.rpartition(":")
    return int(port) if host == f"ipv4:{LOOPBACK}" and port.isdecimal() else 0
