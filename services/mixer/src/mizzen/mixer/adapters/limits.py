"""Limits of quotas by instance, with overrides for some values of the dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from mizzen.attributes.values import Value
from mizzen.mixer.adapter import AdapterError, Environment
from mizzen.mixer.adapters.text import text_of


class HasName(Protocol):
    """A quota in the parameters, named by its instance."""

    @property
    def name(self) -> str: ...


class HasDimensions(Protocol):
    """An override in the parameters."""

    @property
    def dimensions(self) -> Mapping[str, str]: ...


Q = TypeVar("Q", bound=HasName)
O = TypeVar("O", bound=HasDimensions)  # noqa: E741 - an override


def by_instance(quotas: Sequence[Q], environment: Environment) -> dict[str, Q]:
    """The limits by instance; raises AdapterError when an instance that rules use has none."""
    limits = {quota.name: quota for quota in quotas}
    for use in environment.uses:
        if use.template == "quota" and use.name not in limits:
            known = ", ".join(sorted(limits)) or "none"
            raise AdapterError(f"quotas: no limit for instance {use.name}; limits are given for: {known}")
    return limits


def override_for(overrides: Sequence[O], dimensions: Mapping[str, Value]) -> O | None:
    """The first override all of whose dimensions equal the request's."""
    for override in overrides:
        if all(text_of(dimensions.get(name)) == value for name, value in override.dimensions.items()):
            return override
    return None
