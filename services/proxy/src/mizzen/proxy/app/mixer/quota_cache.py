"""Prefetched tokens of all quotas, by the requests that each counts together."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from mizzen.attributes.bag import Bag, References
from mizzen.attributes.shape import Shape
from mizzen.proxy.app.mixer.quota import DEFAULT_SECONDS, UNANSWERED_SECONDS, Prefetch

CAPACITY: Final = 10_000
IDLE: Final = 600.0
"""Seconds without a request after which tokens are forgotten."""


class QuotaCache:
    """Tokens of one Mixer."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Shape, Hashable], Prefetch] = {}
        self._shapes: dict[str, dict[Shape, None]] = {}
        self._pending: dict[str, Prefetch] = {}
        """Of quotas of which is not known yet what they count by: one for all requests."""

    def __len__(self) -> int:
        return len(self._known)

    def find(self, name: str, bag: Bag, now: float) -> Prefetch:
        """The tokens that a request takes from."""
        for shape in self._shapes.get(name, ()):
            signature = shape.signature(bag)
            if signature is not None and (name, shape, signature) in self._known:
                return self._known[name, shape, signature]
        return self._pending.setdefault(name, Prefetch(used_at=now))

    def file(self, name: str, prefetch: Prefetch, references: References, bag: Bag, now: float) -> None:
        """It is known now which requests these tokens are for."""
        if self._pending.get(name) is not prefetch:
            return
        del self._pending[name]
        shape = Shape.of(references, bag)
        signature = shape.signature(bag)
        if signature is None:
            return
        if len(self._known) >= CAPACITY:
            self._known = {key: known for key, known in self._known.items() if now - known.used_at < IDLE}
        if len(self._known) < CAPACITY:
            self._shapes.setdefault(name, {})[shape] = None
            self._known[name, shape, signature] = prefetch


@dataclass(slots=True)
class Order:
    """Tokens that Mixer was asked for."""

    cache: QuotaCache
    name: str
    prefetch: Prefetch
    asked: int

    def granted(self, amount: int, seconds: float, references: References | None, bag: Bag, now: float) -> None:
        """Mixer's answer; 0 seconds when it does not say how long they are good for."""
        if references is not None:
            # First, so that those who wait find whose tokens these are.
            self.cache.file(self.name, self.prefetch, references, bag, now)
        self.prefetch.granted(self.asked, amount, seconds or DEFAULT_SECONDS, now)

    def failed(self, now: float) -> None:
        """Mixer could not be asked: nobody is turned away for that."""
        self.prefetch.granted(self.asked, self.asked, UNANSWERED_SECONDS, now)
