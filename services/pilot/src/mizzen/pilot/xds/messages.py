"""What crosses an ADS stream, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mizzen.pilot.generate.encoded import Encoded

ALL = "*"
"""The name that stands for every resource of a type."""


@dataclass(frozen=True, slots=True)
class SotwRequest:
    """A request of the state-of-the-world variant; `names` is the whole set that the client wants."""

    type_url: str
    names: frozenset[str] = frozenset()
    nonce: str = ""
    error: str | None = None
    """Set in a NACK: what the client says is wrong."""
    version: str = ""
    """The last one that the client accepted, of whatever stream: one that reconnects has some in its first request."""


@dataclass(frozen=True, slots=True)
class DeltaRequest:
    """A request of the delta variant; names are changes of the set that the client wants."""

    type_url: str
    subscribe: frozenset[str] = frozenset()
    unsubscribe: frozenset[str] = frozenset()
    initial_versions: Mapping[str, str] = field(default_factory=dict)
    """What a reconnecting client already has: version by name."""
    nonce: str = ""
    error: str | None = None
    """Set in a NACK: what the client says is wrong."""


@dataclass(frozen=True, slots=True)
class Response:
    """One response of either variant; only delta has `removed`."""

    type_url: str
    version: str
    nonce: str
    resources: tuple[Encoded, ...] = ()
    removed: tuple[str, ...] = ()
