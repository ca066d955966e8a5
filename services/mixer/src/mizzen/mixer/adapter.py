"""What an adapter is: the contract between Mixer's runtime and the back ends behind it.

A handler is an adapter with its parameters. The runtime builds instances (see `mizzen.mixer.templates`) from the
attributes of a request and gives them to the handlers that the matching rules name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, Protocol, runtime_checkable

from mizzen.attributes.values import Value, ValueType
from mizzen.mixer.status import OK, Status
from mizzen.mixer.templates import Instance


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One handler's verdict. Zero duration with zero uses means that it has no opinion on caching."""

    status: Status = OK
    valid_duration: timedelta = timedelta()
    valid_use_count: int = 0
    output: Mapping[str, str] = field(default_factory=dict, hash=False)
    """For header operations of the rule, which read it as `<name of the action>.output.<name>`."""


@dataclass(frozen=True, slots=True)
class QuotaArgs:
    """What a caller asks of a quota; a negative amount gives back."""

    amount: int
    best_effort: bool = True
    deduplication_id: str = ""


@dataclass(frozen=True, slots=True)
class QuotaResult:
    """What was granted, and for how long the grant holds."""

    amount: int
    valid_duration: timedelta = timedelta()
    status: Status = OK


class Handler(Protocol):
    """An adapter that is configured and running. Overridden are only the methods its templates need.

    Every method may raise; the runtime turns that into the error Istio would give, counts it, and bounds its time.
    Instances of a report may share their mappings: they are to be read only.
    """

    revision: int | None
    """While it stays the same, `generate` gives equal instances equal answers; None: that cannot be told."""

    async def check(self, instance: Instance) -> CheckResult:
        """Judge a request: apikey, authorization, checknothing, listentry."""

    async def report(self, instances: Sequence[Instance]) -> None:
        """Take telemetry: edge, logentry, metric, reportnothing, tracespan. Queues; never waits for a back end."""

    async def quota(self, instance: Instance, args: QuotaArgs) -> QuotaResult:
        """Allot from a quota."""

    async def generate(self, instance: Instance) -> Mapping[str, Value]:
        """Look attributes up: kubernetes. Keys are the template's output fields without `$out.`."""

    async def close(self) -> None:
        """Flush what is queued within a bounded time, and give back what is held."""


@dataclass(frozen=True, slots=True)
class Use:
    """One instance that rules send to a handler, with the types its fields turn out to have."""

    name: str  # fully qualified, `requestcount.metric.istio-system`
    template: str
    types: Mapping[str, ValueType]  # of fields; those within maps as `dimensions.source`


@dataclass(frozen=True, slots=True)
class Environment:
    """What a handler may know about where it runs."""

    name: str  # fully qualified, `handler.prometheus.istio-system`
    namespace: str
    uses: tuple[Use, ...]


class Adapter(Protocol):
    """A kind of handler, found by name in `mizzen.mixer.adapters.registry`."""

    name: ClassVar[str]  # as in `compiledAdapter: <name>` and `kind: <name>`
    templates: ClassVar[frozenset[str]]

    async def build(self, params: Mapping[str, object], environment: Environment) -> Handler:
        """Start a handler; raises `AdapterError` that names the parameter which is wrong."""


@runtime_checkable
class OutputAdapter(Adapter, Protocol):
    """An adapter whose checks may have an output."""

    gives_output: ClassVar[bool]


class AdapterError(Exception):
    """Parameters an adapter cannot work with, or a back end that failed it."""
