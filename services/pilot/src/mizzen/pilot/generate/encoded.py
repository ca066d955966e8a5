"""Resources as they go on the wire."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from google.protobuf import any_pb2


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
    return Encoded(name, body, hashlib.blake2b(body, digest_size=8).hexdigest(), failure)
