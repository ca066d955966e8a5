"""Heads cut out of a stream of bytes. ★ hot.

llhttp judges whether a head is well-formed, at C speed and without a call into Python for each header; we cut it into
lines ourselves. That is sound because both must agree where a head ends: llhttp is given nothing beyond the first empty
line, and must come to the end of exactly one head with its last byte.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Final, Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser

from mizzen.proxy.codec.headers import FramingError

_END: Final = b"\r\n\r\n"
_CR: Final = 0x0D
"""CR; no byte up to it begins a head."""


class _Parser(Protocol):
    def feed_data(self, data: bytes, /) -> None: ...


_IGNORED: Final = (
    "message_begin",
    "url",
    "status",
    "header",
    "message_complete",
    "chunk_complete",
)
"""What llhttp could report besides; httptools looks all of them up, and finds None faster than nothing."""


def _refuse_body(*_: object) -> None:
    raise FramingError("a head where a body was announced")


class HeadReader:
    """The heads of one side of one connection. Bodies are the caller's, who says so with `body_follows`."""

    __slots__ = ("_due", "_hooks", "_make", "_parser", "_partial", "rest", "size")

    def __init__(self, *, request: bool) -> None:
        self._make: Callable[[SimpleNamespace], _Parser] = HttpRequestParser if request else HttpResponseParser
        self._due: list[None] = []
        """A token for the head that is being read: llhttp takes it at the end, and a second end finds none."""
        self._hooks = SimpleNamespace(**dict.fromkeys(f"on_{event}" for event in _IGNORED))
        self._hooks.on_headers_complete = self._due.pop
        self._hooks.on_body = self._hooks.on_chunk_header = _refuse_body
        self._parser: _Parser = self._make(self._hooks)
        self._partial = bytearray()
        self.size = 0
        """Bytes of the head as far as it has arrived."""
        self.rest = b""
        """What came after the head that `read` returned."""

    def body_follows(self) -> None:
        """Take a new parser: the present one would wait for the body that the last head announced."""
        self._parser = self._make(self._hooks)

    def read(self, data: bytes) -> list[bytes] | None:
        """The lines of a head, the first line in front; None while it is incomplete. FramingError says what is wrong.

        What is there of an incomplete head is judged at once, so that nobody waits for the end of something else.
        """
        head, end, rest = data.partition(_END)
        if not end or self._partial or data[0] <= _CR:
            return self._read_in_pieces(data)
        self._due.append(None)
        self.size = after = len(head) + 4
        self.rest = rest
        self._judge(data[:after])
        if self._due:
            raise FramingError(_odd_end(head, "an empty line within the head"))
        return head.split(b"\r\n")

    def _read_in_pieces(self, data: bytes) -> list[bytes] | None:
        known = len(self._partial)
        if not known:
            data = data.lstrip(b"\r\n")  # RFC 9112 §2.2: empty lines before a request are ignored
            self.size = 0
            if not data:
                return None
            self._due.append(None)
        self._partial += data
        end = self._partial.find(_END, max(0, known - 3))
        self.size = after = end + 4 if end >= 0 else len(self._partial)
        self._judge(data[: after - known])
        if (end < 0) != bool(self._due):
            raise FramingError(_odd_end(self._partial, "a head that does not end with its first empty line"))
        if end < 0:
            return None
        head, _, self.rest = bytes(self._partial).partition(_END)
        self._partial.clear()
        return head.split(b"\r\n")

    def _judge(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._parser = self._make(self._hooks)
        except HttpParserError as error:
            raise FramingError(str(error)) from error


def _odd_end(head: bytes | bytearray, otherwise: str) -> str:
    """Why a head does not end where its empty line is: the preface of HTTP/2 looks like that."""
    return "HTTP/2, which is not spoken here" if head.startswith(b"PRI * HTTP/2.0") else otherwise
