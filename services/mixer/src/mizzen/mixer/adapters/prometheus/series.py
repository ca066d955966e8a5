"""The values of metrics, and how they are exposed.

Counters keep exactly the name they were given: Prometheus' client for Python would add `_total` to every one of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.utils import floatToGoString

from mizzen.mixer.adapters.prometheus.definition import Definition, Kind, safe_name

MOST_SERIES = 200_000
Labels = tuple[str, ...]


class Series:
    """A gauge: one set of label values, and the last value."""

    __slots__ = ("labels", "name", "touched", "value")

    def __init__(self, name: str, labels: Labels) -> None:
        self.name = name
        self.labels = labels
        self.value = 0.0
        self.touched = 0.0

    def add(self, value: float) -> None:
        """Take one value in; raises ValueError for one that cannot be."""
        self.value = value


class Counter(Series):
    """The sum of all values."""

    __slots__ = ()

    def add(self, value: float) -> None:
        """See `Series.add`."""
        if value < 0:
            raise ValueError(f"{self.name} is a counter and cannot go down by {-value:g}")
        self.value += value


class Distribution(Series):
    """Values sorted into buckets, and their sum; `counts` has a place for each bucket and one for the rest."""

    __slots__ = ("_bounds", "counts")

    def __init__(self, name: str, labels: Labels, bounds: tuple[float, ...]) -> None:
        super().__init__(name, labels)
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)

    def add(self, value: float) -> None:
        """See `Series.add`."""
        self.value += value
        self.counts[bisect_left(self._bounds, value)] += 1


class Family:
    """All series of a metric; at most `most`."""

    def __init__(self, definition: Definition, most: int = MOST_SERIES) -> None:
        self.definition = definition
        self._most = most
        self._bounds = definition.buckets.bounds
        self._series: dict[Labels, Series] = {}

    def __len__(self) -> int:
        return len(self._series)

    def series(self, labels: Labels, now: float) -> Series:
        """The series with these labels, which is in use now; raises ValueError where there are too many."""
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = self._new(labels)
        series.touched = now
        return series

    def expire(self, before: float) -> int:
        """Drop the series that were not touched since `before`; how many they were."""
        old = [labels for labels, series in self._series.items() if series.touched < before]
        for labels in old:
            del self._series[labels]
        return len(old)

    def lines(self) -> Iterator[str]:
        """The family in Prometheus' text format, 0.0.4."""
        name, definition = self.definition.exported_name, self.definition
        kind = "histogram" if definition.kind is Kind.DISTRIBUTION else definition.kind.lower()
        yield f"# HELP {name} {_escape_help(definition.description or definition.name or definition.instance_name)}\n"
        yield f"# TYPE {name} {kind}\n"
        names = [safe_name(label) for label in definition.label_names]
        for series in self._series.values():
            labels = ",".join(f'{key}="{_escape(text)}"' for key, text in zip(names, series.labels, strict=True))
            if isinstance(series, Distribution):
                yield from self._buckets(name, labels, series)
            else:
                yield f"{name}{_braces(labels)} {_number(series.value)}\n"

    def _buckets(self, name: str, labels: str, series: Distribution) -> Iterator[str]:
        total = 0
        prefix = f"{labels}," if labels else ""
        for bound, count in zip((*self._bounds, float("inf")), series.counts, strict=True):
            total += count
            yield f'{name}_bucket{{{prefix}le="{_number(bound)}"}} {total}\n'
        yield f"{name}_sum{_braces(labels)} {_number(series.value)}\n"
        yield f"{name}_count{_braces(labels)} {total}\n"

    def _new(self, labels: Labels) -> Series:
        name = self.definition.exported_name
        if len(self._series) >= self._most:
            raise ValueError(f"{name} has {self._most} series and takes no more")
        match self.definition.kind:
            case Kind.GAUGE:
                return Series(name, labels)
            case Kind.COUNTER:
                return Counter(name, labels)
        return Distribution(name, labels, self._bounds)


class Registry:
    """The metrics of one address. Handlers share a metric that they define alike, so a new handler counts on."""

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}
        self._users: dict[Family, int] = {}

    def acquire(self, definition: Definition) -> Family:
        """The metric; a definition that differs from the one before starts it anew."""
        name = definition.exported_name
        family = self._families.get(name)
        if family is None or family.definition.shape != definition.shape:
            family = self._families[name] = Family(definition)
        self._users[family] = self._users.get(family, 0) + 1
        return family

    def release(self, family: Family) -> None:
        """The metric goes when its last handler has gone."""
        self._users[family] -= 1
        if self._users[family]:
            return
        del self._users[family]
        if self._families.get(family.definition.exported_name) is family:
            del self._families[family.definition.exported_name]

    def text(self) -> str:
        """Everything, in Prometheus' text format."""
        return "".join(line for name in sorted(self._families) for line in self._families[name].lines())


def _number(value: float) -> str:
    """As Go writes it: `5`, `0.005`, `1e+06`, `+Inf`."""
    return str(floatToGoString(value)).removesuffix(".0")  # type: ignore[no-untyped-call]


def _braces(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _escape_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
