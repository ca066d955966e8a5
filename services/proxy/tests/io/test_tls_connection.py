"""TLS between a transport and a protocol, with a library that says what a test wants it to say."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from playbook import ManualLoop, MemoryTransport

from mizzen.proxy.engine.stats import TlsStats
from mizzen.proxy.io.tls import TlsConnection

ANSWER = b"k" * 1024


class Clogged(MemoryTransport):
    """Its peer reads nothing until `drains`."""

    def __init__(self) -> None:
        super().__init__(ManualLoop(), asyncio.Protocol(), "192.0.2.7:5000", "10.9.9.9:80")
        self.drained = 0

    def get_write_buffer_size(self) -> int:
        return len(self.written) - self.drained

    def drains(self) -> None:
        self.drained = len(self.written)


class Library:
    """A library's connection that answers all that it reads, and finds nothing in it."""

    session = None
    session_reused = False

    def __init__(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._incoming, self._outgoing = incoming, outgoing

    def do_handshake(self) -> None:
        """It is over at once."""

    def getpeercert(self, encoded: bool = False) -> None:
        """There is none."""

    def version(self) -> str:
        return "TLSv1.3"

    def cipher(self) -> tuple[str]:
        return ("TLS_AES_128_GCM_SHA256",)

    def read(self, size: int) -> bytes:
        if self._incoming.read():
            self._outgoing.write(ANSWER)
        raise ssl.SSLWantReadError


class Security:
    identity = ""
    server_side = verifies = True

    def wrap(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, session: Any) -> Library:
        return Library(incoming, outgoing)


def connected() -> tuple[Clogged, TlsConnection]:
    raw = Clogged()
    security: Any = Security()
    connection = TlsConnection(security, TlsStats(), lambda made: made.set_protocol(asyncio.Protocol()), failed)
    connection.begin(raw)
    return raw, connection


def failed(reason: str) -> None:
    raise AssertionError(reason)


def test_a_peer_that_asks_for_new_keys_without_end_and_reads_nothing_is_cut() -> None:
    raw, connection = connected()
    for _ in range(64):
        connection.data_received(b"new keys")
    assert not raw.aborted
    connection.data_received(b"new keys")
    assert raw.aborted


def test_a_peer_that_reads_may_ask_for_new_keys_as_often_as_it_likes() -> None:
    raw, connection = connected()
    for _ in range(4):
        for _ in range(60):
            connection.data_received(b"new keys")
        raw.drains()
        raw.drained += len(ANSWER)  # the next answer leaves at once
        connection.data_received(b"new keys")
    assert not raw.aborted
