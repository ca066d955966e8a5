"""x-request-id: random UUIDs (version 4), made in batches because the kernel's random source costs a system call."""

from __future__ import annotations

import os
from collections.abc import Iterator
from struct import Struct

_BATCH = 256
_PIECES = Struct("8s4s3s3s12s")
"""The random digits of one id: 30 of its 32; the other two say version and variant."""


class RequestIds:
    """An endless supply of ids."""

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: Iterator[tuple[bytes, ...]] = iter(())

    def next(self) -> bytes:
        """A UUID4 as text: 120 random bits.

        The 15th character, the version, is also where Envoy keeps its trace decision: `4`, none.
        """
        for pieces in self._pieces:
            return b"%b-%b-4%b-a%b-%b" % pieces
        self._pieces = _PIECES.iter_unpack(os.urandom(_BATCH * _PIECES.size // 2).hex().encode())
        return self.next()
