"""Figures: what a run yields, medians of runs, and ratios of pairs of runs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class Figures:
    """One run of one peer; None is what a case does not measure.

    rps: requests per second (`tcp-bulk`: MB per second, where a MB is 10⁶ bytes).
    p50_us, p99_us: latency seen by the client.
    cpu_us_per_request: CPU time of all processes of the proxy, per request (`tcp-bulk`: per MB).
    rss_mb: resident memory of all processes of the proxy after the run.
    """

    rps: float | None = None
    p50_us: float | None = None
    p99_us: float | None = None
    cpu_us_per_request: float | None = None
    rss_mb: float | None = None


@dataclass(frozen=True)
class Result:
    """One row of the report: Mizzen against one peer."""

    case: str
    peer: str
    ours: Figures
    theirs: Figures
    ratio: dict[str, float | None]
    runs: int

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def compare(case: str, peer: str, ours: Sequence[Figures], theirs: Sequence[Figures]) -> Result:
    """Medians of each side; the ratios are medians over the pairs of runs that were taken one after the other."""
    pairs = list(zip(ours, theirs, strict=True))
    ratio = {
        name: _median(_ratio(getattr(mine, field), getattr(other, field)) for mine, other in pairs)
        for name, field in (("rps", "rps"), ("p99", "p99_us"), ("rss", "rss_mb"))
    }
    return Result(case, peer, median(ours), median(theirs), ratio, len(pairs))


def median(runs: Sequence[Figures]) -> Figures:
    """The median of each figure by itself."""
    return Figures(**{f.name: _median(getattr(run, f.name) for run in runs) for f in fields(Figures)})


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return ours / theirs if ours is not None and theirs else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 3) if known else None
