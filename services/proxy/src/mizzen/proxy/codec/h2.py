"""All of HTTP/2 that this proxy speaks yet: to say that it does not (RFC 9113 §6.5, §6.8)."""

from __future__ import annotations

from typing import Final

_SETTINGS: Final = 4
_GOAWAY: Final = 7
HTTP_1_1_REQUIRED: Final = 0xD


def refusal(reason: str) -> bytes:
    """An empty SETTINGS and a GOAWAY: come again with HTTP/1.1."""
    payload = bytes(4) + HTTP_1_1_REQUIRED.to_bytes(4, "big") + reason.encode()
    return _frame(_SETTINGS, b"") + _frame(_GOAWAY, payload)


def _frame(kind: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, 0)) + bytes(4) + payload
