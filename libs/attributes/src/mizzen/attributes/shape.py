"""By what a check's result can be found again.

A shape says what of a request a decision has read: what had to be absent, and what had to be there. Requests that fit
a shape and have the same values in the places that were there get the same result. No protobuf here: workers of a
proxy use shapes that came to them pickled.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from mizzen.attributes.bag import Bag, References


@dataclass(frozen=True, slots=True)
class Shape:
    """All parts are sorted, so that two decisions that have read the same have equal shapes."""

    absent: tuple[str, ...]
    absent_keys: tuple[tuple[str, str], ...]
    present: tuple[str, ...]
    present_maps: tuple[str, ...]
    """Maps that were read whole."""
    present_keys: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, references: References, bag: Bag) -> Shape:
        """The shape of a result for the request in `bag`, which tells attributes that are maps from others."""

        def names(*, present: bool) -> list[str]:
            return sorted(r for r, found in references.items() if isinstance(r, str) and found == present)

        def keys(*, present: bool) -> tuple[tuple[str, str], ...]:
            return tuple(sorted(r for r, found in references.items() if isinstance(r, tuple) and found == present))

        whole = [name for name in names(present=True) if isinstance(bag.get(name), Mapping)]
        return cls(
            absent=tuple(names(present=False)),
            absent_keys=keys(present=False),
            present=tuple(name for name in names(present=True) if name not in whole),
            present_maps=tuple(whole),
            present_keys=keys(present=True),
        )

    def signature(self, bag: Bag) -> Hashable | None:
        """What to look a result of this shape up by; None where the request is of another shape.

        An attribute must have one type in all requests, its vocabulary's: 1 and True are equal here.
        """
        get, lookup = bag.get, bag.lookup
        for name in self.absent:
            if get(name) is not None:
                return None
        for name, key in self.absent_keys:
            # No map at all is another thing than a map without the key: what a decision makes of it may differ.
            if lookup(name, key) is not None or get(name) is None:
                return None
        values: list[Hashable] = [get(name) for name in self.present]
        values += [lookup(name, key) for name, key in self.present_keys]
        for name in self.present_maps:
            entries = get(name)
            values.append(frozenset(entries.items()) if isinstance(entries, Mapping) else None)
        return None if None in values else tuple(values)
