"""prometheus' parameters and handler. Source: mixer/adapter/prometheus at Istio 1.0.9."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from operator import itemgetter
from typing import ClassVar

from pydantic import field_validator, model_validator

from mizzen.api.types import Duration, Model
from mizzen.attributes.values import Value
from mizzen.mixer.adapter import AdapterError, Environment, Handler
from mizzen.mixer.adapters import metrics
from mizzen.mixer.adapters.base import HandlerBase, as_kind
from mizzen.mixer.adapters.defaults import DEFAULTS
from mizzen.mixer.adapters.params import read
from mizzen.mixer.adapters.prometheus.definition import Definition
from mizzen.mixer.adapters.prometheus.exposition import Exposition, join, leave
from mizzen.mixer.adapters.prometheus.series import Family, Series
from mizzen.mixer.adapters.text import text_of
from mizzen.mixer.templates import Instance, Metric
from mizzen.runtime.address import Address

log = logging.getLogger(__name__)


class Expiry(Model):
    """When a series that nothing is recorded for goes away; the interval of looking is half of it by default."""

    metrics_expiry_duration: Duration
    expiry_check_interval_duration: Duration | None = None


class Params(Model):
    """The metrics; `address` is Mizzen's own and says where Prometheus finds them."""

    metrics: tuple[Definition, ...] = ()
    metrics_expiration_policy: Expiry | None = None
    address: str = ""

    @model_validator(mode="after")
    def _same_name_same_metric(self) -> Params:
        by_name = {metric.exported_name: metric for metric in self.metrics}
        for metric in self.metrics:
            if metric.shape != by_name[metric.exported_name].shape:
                raise ValueError(f"metrics: {metric.exported_name} is defined twice, and not alike")
        return self

    @field_validator("address")
    @classmethod
    def _is_address(cls, text: str) -> str:
        if text:
            Address.parse(text)
        return text


class Target:
    """Where an instance's values go; `labels` are dimensions, in the order of the metric's labels."""

    __slots__ = ("_pick", "family", "labels")

    def __init__(self, family: Family, labels: tuple[str, ...]) -> None:
        self.family = family
        self.labels = labels
        # Reports are many and labels are, so C does the picking; it gives no tuple for less than two names.
        self._pick = itemgetter(*labels) if len(labels) > 1 else None

    def texts(self, values: Mapping[str, Value]) -> tuple[str, ...]:
        """The labels' values as text; raises KeyError for one that is missing."""
        picked = self._pick(values) if self._pick is not None else [values[label] for label in self.labels]
        return tuple([value if value.__class__ is str else text_of(value) for value in picked])


class PrometheusHandler(HandlerBase):
    """Records values in series that the exposition shows."""

    def __init__(self, name: str, params: Params, exposition: Exposition) -> None:
        self.exposition = exposition
        self._name = name
        registry = exposition.registry
        self._targets = {m.instance_name: Target(registry.acquire(m), m.label_names) for m in params.metrics}
        self._sweeper: asyncio.Task[None] | None = None
        if policy := params.metrics_expiration_policy:
            age = policy.metrics_expiry_duration
            interval = policy.expiry_check_interval_duration or age / 2
            self._sweeper = asyncio.create_task(self._sweep(age, interval), name=f"expiry of {name}")

    async def report(self, instances: Sequence[Instance]) -> None:
        now = asyncio.get_running_loop().time()
        wrong: dict[str, None] = {}
        # Most instances share their dimensions with others, and cannot lose them while they are here.
        known: dict[int, tuple[str, Series]] = {}
        for instance in instances:
            metric = instance if instance.__class__ is Metric else as_kind(instance, Metric)
            found = known.get(id(metric.dimensions))
            try:
                if found is None or found[0] != metric.name:
                    series = self._series(metric, now)
                    known[id(metric.dimensions)] = metric.name, series
                else:
                    series = found[1]
                series.add(number_of(metric.name, metric.value))
            except ValueError as error:
                wrong[str(error)] = None
        if wrong:
            raise AdapterError("; ".join(wrong))

    async def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        for target in self._targets.values():
            self.exposition.registry.release(target.family)
        await leave(self.exposition)

    def expire(self, before: float) -> None:
        """Drop every series that nothing was recorded for since `before`, in seconds of the loop's clock."""
        for target in self._targets.values():
            metrics.EXPIRED.labels(self._name).inc(target.family.expire(before))
        metrics.SERIES.labels(self._name).set(sum(len(target.family) for target in self._targets.values()))

    def _series(self, metric: Metric, now: float) -> Series:
        target = self._targets.get(metric.name)
        if target is None:
            raise ValueError(f"no metric in the parameters has the instanceName {metric.name}")
        try:
            labels = target.texts(metric.dimensions)
        except KeyError:
            labels = ()
        if len(labels) != len(metric.dimensions) or len(labels) != len(target.labels):
            given, wanted = ", ".join(sorted(metric.dimensions)), ", ".join(sorted(target.labels))
            raise ValueError(f"{metric.name} has the dimensions {given}, but its metric's labelNames are {wanted}")
        number_of(metric.name, metric.value)  # what is not a number makes no series
        return target.family.series(labels, now)

    async def _sweep(self, age: timedelta, interval: timedelta) -> None:
        while True:
            await asyncio.sleep(interval.total_seconds())
            self.expire(asyncio.get_running_loop().time() - age.total_seconds())


def number_of(name: str, value: Value) -> float:
    """What Prometheus records: numbers, durations in seconds, numeric text; raises ValueError for anything else."""
    if value.__class__ is float:
        return value
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            pass
    raise ValueError(f"{name} has the value {text_of(value)!r}, which is not a number")


class Prometheus:
    """Builds handlers whose metrics Prometheus can collect at `address`."""

    name: ClassVar[str] = "prometheus"
    templates: ClassVar[frozenset[str]] = frozenset({"metric"})

    async def build(self, params: Mapping[str, object], environment: Environment) -> Handler:
        known = read(Params, params)
        instances = [definition.instance_name for definition in known.metrics]
        for use in environment.uses:
            if use.name not in instances:
                log.warning(
                    "%s: rules send it %s, but none of its metrics has that instanceName", environment.name, use.name
                )
        address = Address.parse(known.address) if known.address else DEFAULTS.prometheus
        return PrometheusHandler(environment.name, known, await join(address))


ADAPTER = Prometheus()
