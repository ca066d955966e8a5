"""x-request-id: random UUIDs (version 4), made in batches because the kernel's random source costs a system call."""

from __future__ import annotations

import os
from collections.abc import Iterator
from struct import Struct
from typing import Final

_BATCH: Final = 256
_BYTES: Final = 16
_GROUPS: Final = Struct("8s4s4s4s12s")
_VERSION: Final = bytes(byte & 0x0F | 0x40 for byte in range(256))
_VARIANT: Final = bytes(byte & 0x3F | 0x80 for byte in range(256))
"""What a random byte becomes where a UUID says its version and variant (RFC 9562 §5.4)."""


class RequestIds:
    """An endless supply of ids."""

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: Iterator[tuple[bytes, ...]] = iter(())

    def next(self) -> bytes:
        """A UUID4 as text.

        The 15th character, the version, is also where Envoy keeps its trace decision: `4`, none.
        """
        for groups in self._groups:
            return b"-".join(groups)
        random = bytearray(os.urandom(_BATCH * _BYTES))
        random[6::_BYTES] = random[6::_BYTES].translate(_VERSION)
        random[8::_BYTES] = random[8::_BYTES].translate(_VARIANT)
        self._groups = _GROUPS.iter_unpack(random.hex().encode())
        return self.next()
