"""Where the results go: `latest.json`, a table on the terminal, and a plot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.measure import Figures, Result

RATIOS = ("rps", "p99", "rss")


def write_json(file: Path, machine: dict[str, str | int | float], commit: str, results: Sequence[Result]) -> None:
    """The schema of `make bench`, replaced as a whole."""
    text = json.dumps(
        {"machine": machine, "commit": commit, "cases": [result.to_json() for result in results]}, indent=2
    )
    temporary = file.with_suffix(".tmp")
    temporary.write_text(text + "\n")
    temporary.replace(file)


def print_table(results: Sequence[Result], machine: dict[str, str | int | float]) -> None:
    """One row for each side of each comparison, and the ratios under them."""
    title = f"{machine['cpu']}, {machine['cores']} cores, kernel {machine['kernel']}, Python {machine['python']}"
    table = Table(title=title, caption="tcp-bulk: MB/s and CPU µs per MB. Ratios are ours/theirs.")
    for name in ("case", "proxy", "rps", "p50 µs", "p99 µs", "CPU µs/request", "RSS MB"):
        table.add_column(name, justify="left" if name in ("case", "proxy") else "right", no_wrap=name == "proxy")
    for result in results:
        table.add_row(result.case, "mizzen", *_cells(result.ours))
        table.add_row("", result.peer, *_cells(result.theirs))
        rps, p99, rss = (_ratio(result.ratio[name]) for name in RATIOS)
        table.add_row("", "[bold]ratio", rps, "", p99, "", rss, end_section=True)
    Console().print(table)


def plot(file: Path, results: Sequence[Result]) -> None:
    """The ratios of every comparison as bars around 1."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    labels = [f"{result.case}\n{result.peer}" for result in results]
    figure, axes = pyplot.subplots(1, len(RATIOS), figsize=(12, 1.2 + 0.6 * len(results)), sharey=True)
    titles = ("throughput (more is better)", "p99 (less is better)", "memory (less is better)")
    for axis, name, title in zip(axes, RATIOS, titles, strict=True):
        values = [result.ratio[name] or 0 for result in results]
        bars = axis.barh(labels, values, color="#4477aa")
        axis.bar_label(bars, [f"{value:.2f}" if value else "" for value in values], padding=3)
        axis.axvline(1, color="#cc3311", linewidth=1)
        axis.set_title(title)
        axis.set_xlim(0, max([1.2, *values]) * 1.15)
    axes[0].invert_yaxis()
    figure.supxlabel("Mizzen / peer")
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


def _cells(figures: Figures) -> list[str]:
    values = (
        (figures.rps, ",.0f"),
        (figures.p50_us, ",.0f"),
        (figures.p99_us, ",.0f"),
        (figures.cpu_us_per_request, ",.1f"),
        (figures.rss_mb, ",.1f"),
    )
    return ["-" if value is None else format(value, form) for value, form in values]


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"[bold]{value:.2f}"
