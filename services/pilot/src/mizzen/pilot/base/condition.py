"""Kubernetes' conditions: what is said of one aspect of an object."""

from __future__ import annotations

from typing import NamedTuple

BAD_WHEN_TRUE = frozenset({"Conflicted"})


class Condition(NamedTuple):
    """One aspect of an object."""

    type: str
    status: bool
    reason: str
    message: str = ""

    @property
    def is_good(self) -> bool:
        return self.status != (self.type in BAD_WHEN_TRUE)
