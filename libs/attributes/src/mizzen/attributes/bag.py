"""Where expressions and clients look attributes up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from mizzen.attributes.values import Value

# An attribute, or an attribute and one key of its map.
Reference = str | tuple[str, str]
# What a decision has read of a request, and whether that was there.
References = Mapping[Reference, bool]


class Bag(Protocol):
    """The attributes of one request."""

    def get(self, name: str, /) -> Value | None:
        """The attribute's value; None where the request does not carry it."""

    def lookup(self, name: str, key: str, /) -> str | None:
        """The entry of a STRING_MAP attribute; None where map or key is absent.

        Apart from `get`, because what a decision has read decides what it can be cached by: the key, not the whole map.
        """

    def has_map(self, name: str, /) -> bool:
        """Whether the attribute is there and a STRING_MAP.

        Tells a map without a key from no map at all after a `lookup` that gave None. Not noted as read: the lookup is.
        """


class DictBag:
    """Attributes in a dictionary, which nobody changes any more."""

    __slots__ = ("get", "values")

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.values = values
        self.get: Callable[[str], Value | None] = values.get  # the dictionary's own: no call in between

    def lookup(self, name: str, key: str, /) -> str | None:
        """See `Bag.lookup`; what is not a map has no entries."""
        entries = self.get(name)
        if type(entries) is dict:  # nearly always, and much cheaper to tell than a Mapping
            return entries.get(key)
        return entries.get(key) if isinstance(entries, Mapping) else None

    def has_map(self, name: str, /) -> bool:
        """See `Bag.has_map`."""
        return isinstance(self.get(name), Mapping)


class OverlayBag:
    """A request's attributes, and those that adapters generated where the request carries none of that name."""

    __slots__ = ("_generated", "_under")

    def __init__(self, generated: Bag, under: Bag) -> None:
        self._generated = generated
        self._under = under

    def get(self, name: str, /) -> Value | None:
        """The generated value, else the request's. The request is not asked first: its bag may note what is read."""
        value = self._generated.get(name)
        return self._under.get(name) if value is None else value

    def lookup(self, name: str, key: str, /) -> str | None:
        """See `Bag.lookup`."""
        if self._generated.get(name) is None:
            return self._under.lookup(name, key)
        return self._generated.lookup(name, key)

    def has_map(self, name: str, /) -> bool:
        """See `Bag.has_map`."""
        return self._generated.has_map(name) or (self._generated.get(name) is None and self._under.has_map(name))


class TrackedBag:
    """Notes every read of a bag.

    A decision that runs on its own after a common beginning, as each quota does once attributes are generated, takes a
    `fork`: what others read after that is not noted there.
    """

    __slots__ = ("_get", "_lookup", "has_map", "reads")

    def __init__(self, bag: Bag) -> None:
        self._get = bag.get
        self._lookup = bag.lookup
        self.has_map: Callable[[str], bool] = bag.has_map
        self.reads: dict[Reference, bool] = {}

    def fork(self) -> TrackedBag:
        """The same attributes, with the reads up to now."""
        copy = TrackedBag.__new__(TrackedBag)
        copy._get = self._get
        copy._lookup = self._lookup
        copy.has_map = self.has_map
        copy.reads = self.reads.copy()
        return copy

    def get(self, name: str, /) -> Value | None:
        """See `Bag.get`. A whole map counts as read whole; Istio notes nothing then, and caches wrongly."""
        value = self._get(name)
        self.reads[name] = value is not None
        return value

    def lookup(self, name: str, key: str, /) -> str | None:
        """See `Bag.lookup`. An absent map is noted without the key."""
        value = self._lookup(name, key)
        if value is None and self._get(name) is None:
            self.reads[name] = False
        else:
            self.reads[name, key] = value is not None
        return value
