"""x-request-id: random UUIDs (version 4), made in batches because the kernel's random source costs a system call."""

from __future__ import annotations

import os

_BATCH = 256


class RequestIds:
    """An endless supply of ids; `next()` costs a few slices."""

    __slots__ = ("_at", "_hex")

    def __init__(self) -> None:
        self._hex = b""
        self._at = 0

    def next(self) -> bytes:
        """A UUID4 as text. The 15th character is also where Envoy keeps its trace decision: `4`, none."""
        at = self._at
        digits = self._hex
        if at == len(digits):
            digits = self._hex = os.urandom(16 * _BATCH).hex().encode()
            at = 0
        self._at = at + 32
        return b"%b-%b-4%b-%b%b-%b" % (
            digits[at : at + 8],
            digits[at + 8 : at + 12],
            digits[at + 13 : at + 16],
            _VARIANT[digits[at + 16]],
            digits[at + 17 : at + 20],
            digits[at + 20 : at + 32],
        )


_VARIANT = {digit: b"89ab"[int(chr(digit), 16) % 4 : int(chr(digit), 16) % 4 + 1] for digit in b"0123456789abcdef"}
