"""What is said of objects of the Gateway API; types and reasons are those of its specification."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from mizzen.api.gatewayapi.reference import ParentReference
from mizzen.pilot.base.condition import Condition

CONTROLLER = "mizzen.io/gateway-controller"
"""The controllerName of GatewayClasses that are ours."""

ACCEPTED = Condition("Accepted", True, "Accepted")
RESOLVED = Condition("ResolvedRefs", True, "ResolvedRefs")
PROGRAMMED = Condition("Programmed", True, "Programmed")
NO_CONFLICT = Condition("Conflicted", False, "NoConflicts")


class Address(NamedTuple):
    """Where a gateway is reached; `type` is IPAddress or Hostname."""

    type: str
    value: str


@dataclass(frozen=True, slots=True)
class ListenerState:
    """What came of a listener. `kinds` are the routes that it takes."""

    name: str
    kinds: tuple[str, ...]
    attached: int
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class ParentState:
    """What came of a route at one of its parents."""

    parent: ParentReference
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class State:
    """What came of an object: classes and gateways have conditions, gateways listeners, and routes parents."""

    conditions: tuple[Condition, ...] = ()
    addresses: tuple[Address, ...] = ()
    listeners: tuple[ListenerState, ...] = ()
    parents: tuple[ParentState, ...] = ()

    def all_conditions(self) -> Iterator[tuple[str, Condition]]:
        """Each with the path of what it is about."""
        for condition in self.conditions:
            yield "spec", condition
        for index, listener in enumerate(self.listeners):
            for condition in listener.conditions:
                yield f"spec.listeners[{index}]", condition
        for parent in self.parents:
            for condition in parent.conditions:
                yield f"spec.parentRefs (parent {parent.parent.name})", condition
