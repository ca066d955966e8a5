"""Resources as they go on the wire."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from google.protobuf import any_pb2

HASHED_AT_ONCE = 2047
"""Bytes. For more, hashlib lets go of the interpreter's lock and takes it back at once, so often that the event loop,
which waits for the lock, hardly ever gets it (measured: 0.5 s)."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One resource, serialised."""

    name: str
    body: bytes
    """A serialised google.protobuf.Any."""
    version: str
    """A hash of the content: equal versions have equal bodies."""
    failure: str = ""
    """Why something else stands where a part of it could not be made; empty when it is whole."""


def encode(name: str, message: Any, failure: str = "") -> Encoded:
    """Serialise deterministically, so that equal messages give equal bytes and versions."""
    packed = any_pb2.Any()
    packed.Pack(message, deterministic=True)
    body = packed.SerializeToString(deterministic=True)
    return Encoded(name, body, _digest(body), failure)


def _digest(body: bytes) -> str:
    """Of 8 bytes, in hex."""
    digest = hashlib.blake2b(digest_size=8)
    view = memoryview(body)
    for start in range(0, len(body), HASHED_AT_ONCE):
        digest.update(view[start : start + HASHED_AT_ONCE])
    return digest.hexdigest()
