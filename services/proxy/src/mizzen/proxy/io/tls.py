"""TLS over a transport that is there already, whose first bytes may have been read. ★ hot.

The event loop's own TLS can neither be given bytes that somebody has looked at nor half-close. This is between a
transport and a protocol, and is each to the other.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Any, Final, cast

from mizzen.proxy.engine.peer import Peer, TlsFacts
from mizzen.proxy.engine.stats import TlsStats
from mizzen.proxy.io.tls_contexts import Security

TOO_LONG: Final = "the handshake took too long"
_NO_CERTIFICATE: Final = "PEER_DID_NOT_RETURN_A_CERTIFICATE"
"""OpenSSL's word."""
_LONGEST_SHOWN: Final = 200
_RECORD: Final = 16 * 1024
"""Bytes asked for at once: a record has no more."""
_MOST_OWED: Final = 64 * 1024
"""Bytes of TLS's own answers, to requests for new keys, that a peer may leave unread."""


class TlsConnection(asyncio.Transport):
    """One side of a TLS connection. `begin` it on a transport, then exactly one of `ready` and `failed` is called."""

    __slots__ = (
        "_deadline",
        "_ended",
        "_failed",
        "_incoming",
        "_inner",
        "_is_closing",
        "_outgoing",
        "_owed",
        "_raw",
        "_ready",
        "_security",
        "_session_due",
        "_stats",
        "_tls",
        "_why",
        "facts",
        "identity",
        "peer",
    )

    def __init__(
        self,
        security: Security,
        stats: TlsStats,
        ready: Callable[[TlsConnection], None],
        failed: Callable[[str], None],
        session: ssl.SSLSession | None = None,
    ) -> None:
        super().__init__()
        self._security = security
        self._stats = stats
        self._ready: Callable[[TlsConnection], None] | None = ready
        self._failed = failed
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = security.wrap(self._incoming, self._outgoing, session)
        self._raw: asyncio.Transport = cast("asyncio.Transport", None)
        self._inner: asyncio.Protocol = cast("asyncio.Protocol", None)
        self._deadline: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._ended = False
        """The peer has ended its half of TLS."""
        self._owed = 0
        """Bytes of TLS's own answers since all that was written had left."""
        self._why = ""
        """Why TLS ended in another way than it should."""
        self._session_due = not security.server_side
        self.identity = security.identity
        """What this proxy shows to the peer."""
        self.facts: TlsFacts | None = None
        """None until the handshake is over."""
        self.peer: Peer | None = None
        """None until the handshake is over, and for a peer without a certificate."""

    def begin(self, raw: asyncio.Transport, seen: bytes = b"", limit: float = 0.0) -> None:
        """Shake hands within `limit` seconds, if it is not 0; `seen` are the bytes that have arrived already."""
        self._raw = raw
        if limit:
            self._deadline = asyncio.get_running_loop().call_later(limit, self._fail, TOO_LONG)
        raw.set_protocol(cast("asyncio.Protocol", self))
        if seen:
            self.data_received(seen)
        else:
            self._shake_hands()

    # -- what the transport below calls -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """`begin` is what counts."""

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        if self._ready is not None:
            self._shake_hands()
        elif not self._is_closing:
            self._read()

    def eof_received(self) -> bool:
        """An end without TLS's own is the end of everything; after that it says nothing new."""
        if self._ready is not None:
            self._fail("the peer has gone during the handshake")
        elif not self._is_closing:
            if self._ended:
                return True
            self._why = "the peer has gone without ending TLS"
            self._raw.close()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._ready is not None:
            self._fail(f"the connection was lost during the handshake: {exc or 'closed'}")
        elif self._inner is not None:
            self._is_closing = True
            truncated = ConnectionAbortedError(self._why) if self._why else None
            self._inner.connection_lost(exc or truncated)

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    # -- what the protocol above calls ------------------------------------------------------------------------------

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._inner = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._inner

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._tls if name == "ssl_object" else self._raw.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data and not self._is_closing:
            try:
                self._tls.write(data)
            except ssl.SSLError as error:
                self._break(error)
                return
            self._raw.write(self._outgoing.read())

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Say that no more comes; what the peer says can still be read."""
        self._say_goodbye()

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._say_goodbye()
            self._raw.close()

    def abort(self) -> None:
        self._is_closing = True
        self._raw.abort()

    def is_closing(self) -> bool:
        return self._is_closing or self._raw.is_closing()

    def pause_reading(self) -> None:
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        self._raw.resume_reading()

    def is_reading(self) -> bool:
        return self._raw.is_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()

    # -- steps ------------------------------------------------------------------------------------------------------

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._flush()  # the alert
            self._fail(self._count(error))
            return
        self._flush()
        reason = self._verify()
        if reason:
            self._fail(reason)
            return
        self._end_handshake()
        ready, self._ready = self._ready, None
        assert ready is not None  # noqa: S101 - a handshake ends once
        self._failed = _forget  # whoever waited for the handshake need not live as long as the connection
        ready(self)
        if self._inner is not None and not self._is_closing:
            self._read()

    def _verify(self) -> str:
        """Why the peer is not who it should be; "" when it is.

        The library looks at certificates in whole handshakes alone, and gives new tickets in short ones.
        """
        stats, tls = self._stats, self._tls
        encoded = tls.getpeercert(True)
        if encoded:
            try:
                peer = Peer(tls.getpeercert() or {}, encoded)
            except ValueError:  # with names that are no text
                stats.fail_verify_error += 1
                return "the certificate has names that cannot be read"
            wrong = self._security.judge(peer.names, encoded)
            if wrong:
                setattr(stats, wrong, getattr(stats, wrong) + 1)
                return f"the certificate is of {_shown(peer)}, which is not who is expected here"
            if self._security.verifies:
                if tls.session_reused and self._security.server_side and peer.ends < time.time():
                    stats.fail_verify_error += 1
                    return "the certificate of the resumed session has expired"
                self.peer = peer
        else:
            stats.no_certificate += 1
        self._note_agreement()
        return ""

    def _note_agreement(self) -> None:
        tls, stats = self._tls, self._stats
        cipher, session = tls.cipher(), tls.session
        self.facts = facts = TlsFacts(
            tls.version() or "",
            cipher[0] if cipher else "",
            session.id.hex() if session is not None else "",
            self.identity,
            self.peer,
        )
        stats.agree(facts.version, facts.cipher)
        if tls.session_reused:
            stats.session_reused += 1

    def _count(self, error: ssl.SSLError) -> str:
        """What went wrong, in words."""
        if isinstance(error, ssl.SSLCertVerificationError):
            self._stats.fail_verify_error += 1
            return error.verify_message
        if error.reason == _NO_CERTIFICATE:
            self._stats.fail_verify_no_cert += 1
        else:
            self._stats.connection_error += 1
        return _reason(error)

    def _read(self) -> None:
        """Hand all that has arrived to the protocol, once."""
        chunks: list[bytes] = []
        try:
            while True:
                chunk = self._tls.read(_RECORD)
                if not chunk:
                    self._ended = True
                    break
                chunks.append(chunk)
                if not self._incoming.pending and not self._tls.pending():
                    break  # before OpenSSL says so with an exception, which costs as much as the record
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._ended = True
        except ssl.SSLError as error:
            self._break(error)
            return
        self._answer()
        if self._session_due and chunks:  # tickets of TLS 1.3 come with the first bytes
            self._session_due = False
            self._security.keep_session(self._raw, self._tls.session)
        if chunks and not self._is_closing:
            self._inner.data_received(chunks[0] if len(chunks) == 1 else b"".join(chunks))
        if self._ended and not self._is_closing and not self._inner.eof_received():
            self.close()

    def _answer(self) -> None:
        """Write what TLS itself has to say to what was read."""
        data = self._outgoing.read()
        if data and not self._raw.is_closing():
            self._raw.write(data)
            self._owed = self._owed + len(data) if self._raw.get_write_buffer_size() else 0
            if self._owed > _MOST_OWED:
                self._why = "the peer asks for new keys and reads no answer"
                self.abort()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and not self._raw.is_closing():
            self._raw.write(data)

    def _say_goodbye(self) -> None:
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            """It wants the peer's goodbye too, which we need not wait for."""
        self._flush()

    def _break(self, error: ssl.SSLError) -> None:
        """What arrives is no TLS of this connection; or the peer says that it does not like us."""
        self._flush()
        self._is_closing = True
        self._why = self._count(error)
        self._raw.close()

    def _end_handshake(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _fail(self, reason: str) -> None:
        self._end_handshake()
        if self._ready is None:
            return
        self._ready = None
        self._is_closing = True
        self._failed(reason)
        self._raw.close()


def _forget(_: str) -> None:
    """Nobody waits any more."""


def _shown(peer: Peer) -> str:
    """Its names, which are the peer's own words: in a log they must not break a line."""
    names = ", ".join(peer.uris or peer.dns or (peer.subject or "nobody",))
    return names[:_LONGEST_SHOWN].encode("unicode_escape").decode()


def _reason(error: ssl.SSLError) -> str:
    """OpenSSL's word: `TLSV1_ALERT_UNKNOWN_CA`."""
    return (error.reason or str(error)).lower().replace("_", " ")
