"""What generators made for one proxy, and what they could not make: one bad resource must not take others with it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from mizzen.pilot.generate.cache import Cache
from mizzen.pilot.generate.encoded import Encoded
from mizzen.pilot.generate.failure import describe

InputsT = TypeVar("InputsT", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Generated:
    """Resources of one type by name, in the order to send them, with what is wrong among them."""

    resources: dict[str, Encoded] = field(default_factory=dict)
    substitutes: dict[str, Encoded] = field(default_factory=dict)
    """For a client that holds no resource of this name, and would wait for one; any other keeps what it holds."""
    failures: dict[str, str] = field(default_factory=dict)
    """Why a resource, or a part of it, could not be generated; a client that holds an earlier one keeps that."""


class Harvest:
    """Collects resources; what raises is noted under the name of its resource, and the rest goes on."""

    def __init__(self, cache: Cache, wanted: frozenset[str] | None) -> None:
        """`wanted` are the names to generate; None stands for all."""
        self.made = Generated()
        self._cache = cache
        self._wanted = wanted

    def take(
        self,
        name: str,
        generator: Callable[[InputsT], Encoded],
        inputs: InputsT,
        *origins: str,
        otherwise: Encoded | None = None,
    ) -> None:
        """Generate a resource; `origins` are what it is made from and `otherwise` its substitute, should that fail."""
        if self._wanted is not None and name not in self._wanted:
            return
        with self.guard(name, *origins):
            resource = self._cache.get(generator, inputs)
            if not resource.failure:
                self.made.resources[name] = resource
                return
            self.made.failures[name] = resource.failure
            otherwise = resource
        if otherwise is not None:
            self.made.substitutes[name] = otherwise

    @contextmanager
    def guard(self, name: str, *origins: str) -> Iterator[None]:
        """What raises inside is the failure of this resource."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and the other resources do not suffer
            self.made.failures[name] = describe(error, *origins)
