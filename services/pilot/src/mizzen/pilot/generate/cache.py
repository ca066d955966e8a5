"""Generated resources, remembered by what they were made from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

InputsT = TypeVar("InputsT", bound=Hashable)
ResultT = TypeVar("ResultT")


class Cache:
    """Results of generators by their inputs; the least recently used are forgotten beyond a limit.

    A generator may read nothing but its inputs, so equal inputs must give equal results.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._results: OrderedDict[tuple[Any, Hashable], Any] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._results)

    def get(self, generator: Callable[[InputsT], ResultT], inputs: InputsT) -> ResultT:
        """`generator(inputs)`, or what it returned before."""
        key = (generator, inputs)
        if key in self._results:
            self.hits += 1
            self._results.move_to_end(key)
            found: ResultT = self._results[key]
            return found
        self.misses += 1
        result = generator(inputs)
        self._results[key] = result
        if len(self._results) > self._limit:
            self._results.popitem(last=False)
        return result
