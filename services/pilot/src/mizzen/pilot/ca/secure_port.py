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
from typing import Any, Final

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
        self._servers: list[asyncio.Server] = []
        self._context: ssl.SSLContext | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._shown: dict[asyncio.Task[None], x509.Certificate] = {}
        """What clients with a certificate have proved."""

    async def start(self, address: Address, context: ssl.SSLContext) -> None:
        """Listen; raises StartError."""
        self._context = context
        try:
            self._servers = [await self._listen(context, host=address.host, port=address.port)]
        except OSError as error:
            raise StartError(explain_bind_error(address, error)) from error

    async def use(self, context: ssl.SSLContext) -> None:
        """Take another context for new connections: no session that the one before has begun is resumed in it.

        Connections go on. Raises OSError; new connections then see the context before, and are vouched for by leaf.
        """
        self._context = context
        before, after = self._servers, list[asyncio.Server]()
        try:
            for each in (each for server in before for each in server.sockets):
                after.append(await self._listen(context, sock=each.dup()))
        except OSError:
            before, after = after, before
            raise
        finally:
            self._servers = after
            for server in before:
                server.close()

    def judge_again(self) -> int:
        """End the connections of clients whose certificates are not good any more; how many they are."""
        bad = [task for task, certificate in self._shown.items() if not self._vouches(certificate)]
        for task in bad:
            task.cancel()
        return len(bad)

    async def _listen(self, context: ssl.SSLContext, **where: Any) -> asyncio.Server:
        return await asyncio.start_server(
            self._accepted,
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            limit=CHUNK,
            **where,
        )

    @property
    def address(self) -> Address:
        """Where it listens, with the port that the system chose for port 0."""
        if not self._servers:
            raise RuntimeError("the secure port was not started")
        host, port, *_ = self._servers[0].sockets[0].getsockname()
        return Address(host, port)

    def peer(self, address: str) -> SpiffeId | None:
        """Who a gRPC peer (`ipv4:127.0.0.1:PORT`) has proved to be; None for nobody."""
        return self._peers.get(_relayed_from(address))

    def came_through(self, address: str) -> bool:
        """Whether a gRPC peer came by this port at all, and not straight to the server behind."""
        return _relayed_from(address) in self._peers

    async def close(self) -> None:
        """End all connections."""
        for server in self._servers:
            server.close()
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
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        self._shown.pop(task, None)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._relay(reader, writer, self._known(self._admit(writer)))
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

    def _admit(self, writer: asyncio.StreamWriter) -> SpiffeId | None:
        """Of the certificate that the handshake has verified; raises InvalidIdentity."""
        encoded = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        if not encoded:
            return None
        certificate = x509.load_der_x509_certificate(encoded)
        if writer.get_extra_info("sslcontext") is not self._context and not self._vouches(certificate):
            raise InvalidIdentity("its certificate was revoked during the handshake")
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - `_accepted` makes it
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
