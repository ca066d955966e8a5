"""A stream of bytes as lines."""

from __future__ import annotations

from collections.abc import Iterator

from mizzen.kubernetes.objects import Malformed

MAX_BYTES = 16 * 1024 * 1024
"""Far above the largest object that etcd takes (1.5 MiB unless it was told otherwise)."""


class Lines:
    """Cuts what arrives at line ends; empty lines are left out."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that are complete now; raises Malformed for one without an end."""
        searched = len(self._rest)
        self._rest += data
        start = 0
        while (end := self._rest.find(b"\n", max(start, searched))) >= 0:
            line = bytes(self._rest[start:end])
            start = end + 1
            if line.strip():
                yield line
        del self._rest[:start]
        if len(self._rest) > MAX_BYTES:
            raise Malformed(f"the API server sent a line of more than {MAX_BYTES} bytes")
