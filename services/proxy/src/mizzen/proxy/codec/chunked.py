"""The chunked transfer coding (RFC 9112 §7.1), read strictly: whatever has a second reading is refused."""

from __future__ import annotations

import re
from typing import Final

from mizzen.proxy.codec.h1 import MAX_HEADERS, MAX_QUIET_BYTES
from mizzen.proxy.codec.headers import FramingError, Head, read_head

MAX_SIZE_LINE: Final = 1024
"""Bytes of a chunk size with its extensions. The start of a line is matched anew with each read, so that 16 KiB of
extensions, a byte at a time, would take seconds."""

_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})

_SIZE, _DATA, _DATA_END, _TRAILERS, _DONE = range(5)

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_QUOTED: Final = rb'"[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]*'
_EXTENSION: Final = rb';%b+(?:=(?:%b+|%b"))?' % (_TOKEN, _TOKEN, _QUOTED)
_EXTENSION_SO_FAR: Final = rb";%b*(?:=(?:%b*|%b))?" % (_TOKEN, _TOKEN, _QUOTED)
_VALUE: Final = rb"[\t\x20-\x7e\x80-\xff]*"
_LINE_SO_FAR: Final = {
    # A size and its extensions, which are dropped. 15 digits are 1 EiB and fit every integer on the way.
    _SIZE: (
        re.compile(rb"[0-9A-Fa-f]{1,15}(?:%b)*(?:%b|\r\n?)?" % (_EXTENSION, _EXTENSION_SO_FAR)),
        "a malformed chunk size or extension",
    ),
    _DATA_END: (re.compile(rb"\r\n?"), "a chunk longer than its size"),
    _TRAILERS: (re.compile(rb"%b+(?::%b(?:\r\n?)?)?|\r\n?" % (_TOKEN, _VALUE)), "a malformed trailer"),
}
"""What a line may look like, whether its end has arrived or not: nobody waits for the end of something else."""


class ChunkedReader:
    """One body. Bytes go in by `feed`, pieces of the body come out; chunk boundaries are not kept."""

    __slots__ = ("_left", "_line", "_quiet", "_state", "_trailer_lines", "rest", "trailers")

    def __init__(self) -> None:
        self._state = _SIZE
        self._left = 0
        self._line = b""
        """The start of a line whose end has not arrived."""
        self._quiet = 0
        """Bytes since the last piece of body."""
        self._trailer_lines: list[bytes] = []
        self.trailers: Head = {}
        """Once done."""
        self.rest = b""
        """Once done: what came after the body."""

    @property
    def done(self) -> bool:
        """The body has ended."""
        return self._state == _DONE

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces of body in some bytes; FramingError when these are not a chunked body."""
        pieces: list[bytes] = []
        at = 0
        while at < len(data) and self._state != _DONE:
            if self._state == _DATA:
                piece = data[at : at + self._left]
                at += len(piece)
                self._left -= len(piece)
                self._quiet = 0
                pieces.append(piece)
                if self._left == 0:
                    self._state = _DATA_END
            else:
                at = self._read_line(data, at)
        self.rest = data[at:]
        return pieces

    def _read_line(self, data: bytes, at: int) -> int:
        """Take a line, or the start of one, from `at` on; returns where it ends."""
        end = data.find(b"\n", at) + 1
        piece = data[at:end] if end else data[at:]
        self._quiet += len(piece)
        if self._quiet > MAX_QUIET_BYTES:
            raise FramingError("oversized chunk extensions or trailers")
        text = self._line + piece
        if len(text) > MAX_SIZE_LINE and self._state == _SIZE:
            raise FramingError("oversized chunk extensions")
        form, refusal = _LINE_SO_FAR[self._state]
        if form.fullmatch(text) is None:
            raise FramingError(refusal)
        if not end:
            self._line = text
            return len(data)
        self._line = b""
        self._take_line(text[:-2])
        return end

    def _take_line(self, text: bytes) -> None:
        if self._state == _DATA_END:
            self._state = _SIZE
        elif self._state == _SIZE:
            self._take_size(text)
        elif text:
            self._take_trailer(text)
        else:
            self.trailers = read_head(self._trailer_lines)
            self._state = _DONE

    def _take_size(self, text: bytes) -> None:
        self._left = int(text.partition(b";")[0], 16)
        self._state = _DATA if self._left else _TRAILERS

    def _take_trailer(self, text: bytes) -> None:
        if text.partition(b":")[0].lower() in _FRAMING:
            raise FramingError("a framing header in a trailer section")
        self._trailer_lines.append(text)
        if len(self._trailer_lines) > MAX_HEADERS:
            raise FramingError(f"more than {MAX_HEADERS} trailers")
