"""Generated resources, remembered by what they were made from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from mizzen.pilot.generate.encoded import Encoded

InputsT = TypeVar("InputsT", bound=Hashable)
_OVERHEAD = 1024
"""Bytes that an entry takes besides its body, roughly: the inputs and the dictionary's share."""


class Cache:
    """Results of generators by their inputs; beyond a limit in bytes the least recently used are forgotten.

    A generator may read nothing but its inputs, so equal inputs must give equal results.
    """

    def __init__(self, limit: int = 128 * 1024 * 1024) -> None:
        self._limit = limit
        self._size = 0
        self._results: OrderedDict[tuple[Any, Hashable], Encoded] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._results)

    def get(self, generator: Callable[[InputsT], Encoded], inputs: InputsT) -> Encoded:
        """`generator(inputs)`, or what it returned before."""
        key = (generator, inputs)
        found = self._results.get(key)
        if found is not None:
            self.hits += 1
            self._results.move_to_end(key)
            return found
        self.misses += 1
        result = generator(inputs)
        self._results[key] = result
        self._size += _weight(result)
        while self._size > self._limit and len(self._results) > 1:
            _, forgotten = self._results.popitem(last=False)
            self._size -= _weight(forgotten)
        return result


def _weight(result: Encoded) -> int:
    return len(result.body) + _OVERHEAD
