"""Results of checks, found again by what they depend on. ★ hot: a request that was checked before pays a look-up."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, TypeAlias

from mizzen.proxy.engine.attributes import CheckView, Getter, Reference, bind_getters
from mizzen.proxy.engine.mixer_plan import MixerContext
from mizzen.proxy.engine.verdict import Verdict

CAPACITY: Final = 10_000
MAX_SHAPES: Final = 64
"""Of one context; results of yet another shape are not kept."""

Key: TypeAlias = tuple[Hashable, ...]


class Shape:
    """Which values of a request a result depends on; absent ones too, so that a key tells presence as well."""

    __slots__ = ("_getters",)

    def __init__(self, getters: tuple[Getter, ...]) -> None:
        self._getters = getters

    def key(self, x: CheckView) -> Key:
        """Requests with equal keys get the same result."""
        return (self, *[get(x) for get in self._getters])


class Context:
    """Requests that differ in nothing that is configured: one filter, one service."""

    __slots__ = ("_known", "forward_line", "plan", "shapes")

    def __init__(self, plan: MixerContext, forward_line: bytes) -> None:
        self.plan = plan
        self.forward_line = forward_line
        """The header for the upstream proxy; b"" for none."""
        self.shapes: list[Shape] = []
        """Shapes of the results that there were."""
        self._known: dict[frozenset[Reference], Shape] = {}

    def shape(self, references: frozenset[Reference]) -> Shape | None:
        """The shape of results with these references; None when there are too many already."""
        known = self._known.get(references)
        if known is None and len(self._known) < MAX_SHAPES:
            known = self._known[references] = Shape(
                bind_getters(references, trusts_peer=self.plan.trusts_peer, api=self.plan.api)
            )
            self.shapes.append(known)
        return known


class CheckCache:
    """A bounded number of verdicts. What was not used for a whole round of replacements makes room."""

    __slots__ = ("_capacity", "_verdicts")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._verdicts: dict[Key, Verdict] = {}

    def __len__(self) -> int:
        return len(self._verdicts)

    def find(self, shapes: list[Shape], x: CheckView, now: float) -> Verdict | None:
        """A verdict of one of these shapes for the request that still holds; takes one of its uses."""
        verdicts = self._verdicts
        for shape in shapes:
            key = shape.key(x)
            verdict = verdicts.get(key)
            if verdict is None:
                continue
            if verdict.expires_at <= now or verdict.uses == 0:
                del verdicts[key]
                return None
            if verdict.uses > 0:
                verdict.uses -= 1
            verdict.used = True
            return verdict
        return None

    def keep(self, shape: Shape, x: CheckView, verdict: Verdict) -> None:
        """Remember what was decided about a request."""
        verdicts = self._verdicts
        key = shape.key(x)
        if key not in verdicts:
            while len(verdicts) >= self._capacity:
                self._make_room()
        verdicts[key] = verdict

    def _make_room(self) -> None:
        """Drop the oldest one, or pass it over once when it was used."""
        oldest = next(iter(self._verdicts))
        verdict = self._verdicts.pop(oldest)
        if verdict.used:
            verdict.used = False
            self._verdicts[oldest] = verdict
