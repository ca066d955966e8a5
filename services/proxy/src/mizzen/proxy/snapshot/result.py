"""What comes out of compiling one resource."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple

from mizzen.proxy.engine.plan import ClusterPlan, EndpointSetPlan, ListenerPlan, Plan, RouteTablePlan
from mizzen.proxy.engine.tls_plan import SecretPlan

_MESSAGE_NAMES: dict[type[Plan], str] = {
    ListenerPlan: "Listener",
    RouteTablePlan: "RouteConfiguration",
    ClusterPlan: "Cluster",
    EndpointSetPlan: "ClusterLoadAssignment",
    SecretPlan: "Secret",
}


class Unsupported(NamedTuple):
    """A field that was accepted and has no effect."""

    field: str
    """Message and field, such as "envoy.config.route.v3.RouteAction.retry_policy"."""
    origin: str
    """The user's object that asked for it ("VirtualService default/reviews"); empty when Pilot's defaults did."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A resource that this proxy can run."""

    plan: Plan
    unsupported: tuple[Unsupported, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A resource that this proxy cannot run; one sentence of a NACK."""

    resource: str
    """Type and name: "Listener 127.1.0.3_9080"."""
    path: str
    """Envoy's field path inside the resource; empty when all of it is meant."""
    reason: str
    passing: bool = False
    """It may be gone in a moment, with nothing changed: an address that is in use."""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.resource, self.path, self.reason) if part)


def title(plan: Plan) -> str:
    """How a NACK calls the resource of a plan: "Listener 127.1.0.3_9080"."""
    return f"{_MESSAGE_NAMES[type(plan)]} {plan.name}"


class Invalid(Exception):
    """Raised while one resource is compiled; becomes a `Rejected` where compiling began."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason


class at:  # noqa: N801 - reads as a word: `with at("routes[0]")`
    """Puts a field in front of the path of an `Invalid` that passes."""

    __slots__ = ("_field",)

    def __init__(self, field: str) -> None:
        self._field = field

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Invalid):
            error.path = f"{self._field}.{error.path}" if error.path else self._field


class Notes:
    """Collects what of one resource has no effect."""

    def __init__(self) -> None:
        self._found: list[Unsupported] = []

    @property
    def unsupported(self) -> tuple[Unsupported, ...]:
        return tuple(self._found)

    def add(self, field: str, origin: str = "") -> None:
        """Report one field by its full name."""
        self._found.append(Unsupported(field, origin))

    def check(self, message: Any, known: Iterable[str], origin: str = "") -> None:
        """Report every field of `message` that is set and not among `known`.

        Wrappers and durations of zero do not count: an explicit zero turns a feature off.
        """
        for field, value in message.ListFields():
            if field.name not in known and not _is_zero(value):
                self.add(f"{message.DESCRIPTOR.full_name}.{field.name}", origin)


def _is_zero(value: Any) -> bool:
    descriptor = getattr(value, "DESCRIPTOR", None)
    return bool(descriptor and descriptor.full_name.startswith("google.protobuf.") and not value.ListFields())
