"""`/stats` as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import re2

from mizzen.proxy.engine.control import StatKey, Stats
from mizzen.proxy.engine.stats import BUCKETS

Kind = Literal["Counters", "Gauges", "Histograms", "All"]
QUANTILES = (0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100)
"""Percent; Envoy's."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which stats somebody asks for."""

    pattern: Any = None
    used_only: bool = False
    kind: Kind = "All"

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Selection:
        """From ?filter= (RE2, found anywhere in the name), ?usedonly and ?type=. Raises ValueError."""
        kind = query.get("type", "All").capitalize()
        if kind not in ("Counters", "Gauges", "Histograms", "All"):
            raise ValueError("invalid type: one of Counters, Gauges, Histograms, All")
        try:
            pattern = re2.compile(query["filter"], _quiet()) if query.get("filter") else None
        except re2.error as error:
            reason = error.args[0]  # bytes
            raise ValueError(f"Invalid re2 regex: {reason.decode()}") from None
        return cls(pattern, "usedonly" in query, cast("Kind", kind))

    def numbers(self, stats: Stats) -> Iterator[tuple[StatKey, int, bool]]:
        """Selected counters and gauges: key, value, is it a gauge."""
        for values, kind, gauge in ((stats.counters, "Counters", False), (stats.gauges, "Gauges", True)):
            if self.kind in (kind, "All"):
                for key, value in values.items():
                    if self._wants(key) and (value or not self.used_only):
                        yield key, value, gauge

    def histograms(self, stats: Stats) -> Iterator[tuple[StatKey, tuple[float, ...]]]:
        """Selected histograms: key, then bucket counts and the sum."""
        if self.kind in ("Histograms", "All"):
            for key, values in stats.histograms.items():
                if self._wants(key) and (any(values) or not self.used_only):
                    yield key, values

    def _wants(self, key: StatKey) -> bool:
        return self.pattern is None or self.pattern.search(stat_name(key)) is not None


def _quiet() -> Any:
    """What somebody mistypes in a URL is not worth a line in our log."""
    options = re2.Options()
    options.log_errors = False
    return options


def stat_name(key: StatKey) -> str:
    """`cluster.<name>.<metric>`; colons become underscores, as in Envoy."""
    return ".".join(part for part in key if part).replace(":", "_")


def as_text(stats: Stats, selection: Selection) -> str:
    """Envoy's default format."""
    lines = [f"{stat_name(key)}: {value}" for key, value, _ in selection.numbers(stats)]
    summaries = [f"{stat_name(key)}: {_summary(values)}" for key, values in selection.histograms(stats)]
    return "".join(f"{line}\n" for line in (*sorted(lines), *sorted(summaries)))


def as_json(stats: Stats, selection: Selection) -> dict[str, Any]:
    """Envoy's ?format=json."""
    numbers = sorted((stat_name(key), value) for key, value, _ in selection.numbers(stats))
    rows: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in numbers]
    computed = [
        {
            "name": stat_name(key),
            "values": [{"interval": None, "cumulative": quantile(values, percent)} for percent in QUANTILES],
        }
        for key, values in selection.histograms(stats)
        if any(values)
    ]
    if computed:
        rows.append({"histograms": {"supported_quantiles": list(QUANTILES), "computed_quantiles": computed}})
    return {"stats": rows}


def quantile(values: tuple[float, ...], percent: float) -> float:
    """The value below which `percent` of the recorded ones lie, linear within a bucket; buckets as in `BUCKETS`."""
    counts = values[:-1]
    if not any(counts):
        return 0.0
    rank = sum(counts) * percent / 100
    below, passed = 0.0, 0.0
    for end, count in zip((*BUCKETS, BUCKETS[-1]), counts, strict=True):
        if count and passed + count >= rank:
            return round(below + (end - below) * max(0.0, rank - passed) / count, 3)
        below, passed = end, passed + count
    return below


def _summary(values: tuple[float, ...]) -> str:
    if not any(values[:-1]):
        return "No recorded values"
    return " ".join(f"P{percent:g}(nan,{quantile(values, percent):g})" for percent in QUANTILES)
