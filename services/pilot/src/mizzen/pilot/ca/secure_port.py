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
MAX_CONNECTIONS: Final = 10_000


class SecurePort:
    """One listening port; `peer` tells who speaks. `start`, then `close`."""

    def __init__(self, inner: Callable[[], Address], trust_domains: Callable[[], Container[str]]) -> None:
        """`inner` is where the plaintext server listens, on loopback; who is of none of the domains is nobody here."""
        self._inner = inner
        self._trust_domains = trust_domains
        self._peers: dict[int, SpiffeId | None] = {}
        """By the port that a connection goes on from; None for clients without a certificate."""
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, address: Address, context: ssl.SSLContext) -> None:
        """Listen; raises StartError. The context may be changed later: new connections see it."""
        try:
            self._server = await asyncio.start_server(
                self._accepted,
                address.host,
                address.port,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
                limit=CHUNK,
            )
        except OSError as error:
            raise StartError(explain_bind_error(address, error)) from error

    @property
    def address(self) -> Address:
        """Where it listens, with the port that the system chose for port 0."""
        if self._server is None:
            raise RuntimeError("the secure port was not started")
        host, port, *_ = self._server.sockets[0].getsockname()
        return Address(host, port)

    def peer(self, address: str) -> SpiffeId | None:
        """Who a gRPC peer (`ipv4:127.0.0.1:PORT`) has proved to be; None for nobody."""
        return self._peers.get(_relayed_from(address))

    def came_through(self, address: str) -> bool:
        """Whether a gRPC peer came by this port at all, and not straight to the server behind."""
        return _relayed_from(address) in self._peers

    async def close(self) -> None:
        """End all connections."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Of asyncio's own tasks for this, each that is cancelled would be logged as an error."""
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._relay(reader, writer, self._known(_peer_of(writer)))
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


def _peer_of(writer: asyncio.StreamWriter) -> SpiffeId | None:
    """Of the certificate that the handshake has verified; raises InvalidIdentity."""
    encoded = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return identity_of(x509.load_der_x509_certificate(encoded)) if encoded else None
