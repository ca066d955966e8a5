"""What handlers have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from mizzen.attributes.values import Value
from mizzen.mixer.adapter import AdapterError, CheckResult, Handler, QuotaArgs, QuotaResult
from mizzen.mixer.templates import Instance

I = TypeVar("I", bound=Instance)  # noqa: E741 - an instance


class HandlerBase(Handler):
    """A handler for no template at all; adapters override the methods of theirs."""

    revision: int | None = None

    async def check(self, instance: Instance) -> CheckResult:
        raise _misdirected(self, instance)

    async def report(self, instances: Sequence[Instance]) -> None:
        for instance in instances:
            raise _misdirected(self, instance)

    async def quota(self, instance: Instance, args: QuotaArgs) -> QuotaResult:
        raise _misdirected(self, instance)

    async def generate(self, instance: Instance) -> Mapping[str, Value]:
        raise _misdirected(self, instance)

    async def close(self) -> None:
        """Nothing is held."""


def _misdirected(handler: Handler, instance: Instance) -> AdapterError:
    return AdapterError(f"{type(handler).__name__} has no use for {type(instance).__name__} {instance.name}")


def as_kind(instance: Instance, kind: type[I]) -> I:
    """The instance as what it must be; raises AdapterError when the configuration sent something else."""
    if not isinstance(instance, kind):
        raise AdapterError(f"expected {kind.__name__}, got {type(instance).__name__} {instance.name}")
    return instance
