"""Mixer's own numbers, by the names that Istio 1.0's dashboards know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, UnknownMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from mizzen.mixer.runtime.destination import SECONDS, Destination
from mizzen.mixer.runtime.loads import SIZES, Loads

if TYPE_CHECKING:
    from mizzen.mixer.runtime.engine import RuleEngine

_LABELS = ["meshFunction", "handler", "adapter", "error"]


class EngineCollector(Collector):
    """Reads the engine when it is asked; requests pay for plain additions only."""

    def __init__(self, engine: RuleEngine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """All families."""
        yield from self._config()
        yield from self._handlers()
        yield from self._dispatches(self._engine.destinations)
        yield from _loads(self._engine.loads)

    def describe(self) -> Iterable[Metric]:
        """Nothing: names are not asked for before there are values."""
        return []

    def _config(self) -> Iterator[Metric]:
        config = self._engine.config
        failed = len(self._engine.handlers.failed)
        errors = [problem for problem in config.problems if problem.severity == "error"]

        def of(*kinds: str) -> int:
            return sum(problem.resource.split(" ")[0] in kinds for problem in errors)

        matches = sum(p.path in ("spec.match", "spec.selector") for p in errors if p.resource.startswith("rule "))
        instances = {problem.resource for problem in errors} & {
            id_ for id_ in config.quarantined if not id_.startswith(("rule ", "handler "))
        }
        for name, text, value in (
            ("attribute_count", "Attributes that rules may speak of.", len(config.vocabulary)),
            ("handler_config_count", "Handlers in the configuration.", config.given.get("handler", 0)),
            ("instance_config_count", "Instances in the configuration.", config.given.get("instance", 0)),
            ("instance_config_error_count", "Instances that are left out.", len(instances)),
            ("rule_config_count", "Rules in the configuration.", config.given.get("rule", 0)),
            ("rule_config_error_count", "Errors in rules.", of("rule")),
            ("rule_config_match_error_count", "Rules whose match is wrong.", matches),
            ("adapter_info_config_count", "Adapters outside of Mixer.", config.given.get("adapter", 0)),
            ("adapter_info_config_error_count", "Errors in adapters outside of Mixer.", of("adapter")),
            ("template_config_count", "Templates outside of Mixer.", config.given.get("template", 0)),
            ("template_config_error_count", "Errors in templates outside of Mixer.", of("template")),
            ("unsatisfied_action_handler_count", "Handlers of rules that do not run.", failed),
            ("handler_validation_error_count", "Handlers that do not run as they should.", failed + of("handler")),
        ):
            yield GaugeMetricFamily(f"mixer_config_{name}", text, value=value)

    def _handlers(self) -> Iterator[Metric]:
        lives = self._engine.handlers.lives
        for name, text, value in (
            ("new_handler_count", "Handlers started.", lives.started),
            ("reused_handler_count", "Handlers kept over a change of the configuration.", lives.kept),
            ("close_handler_count", "Handlers closed.", lives.closed),
            ("handler_build_failure_count", "Handlers that failed to start.", lives.failed_to_start),
            ("handler_close_failure_count", "Handlers that failed to close.", lives.failed_to_close),
        ):
            yield UnknownMetricFamily(f"mixer_handler_{name}", text, value=value)

    def _dispatches(self, destinations: Sequence[Destination]) -> Iterator[Metric]:
        counts = UnknownMetricFamily("mixer_runtime_dispatch_count", "Calls of handlers.", labels=_LABELS)
        durations = HistogramMetricFamily("mixer_runtime_dispatch_duration", "Seconds that they took.", labels=_LABELS)
        for destination in destinations:
            for error, tally in (("false", destination.good), ("true", destination.bad)):
                if tally.calls:
                    labels = [destination.template, destination.name, destination.adapter, error]
                    counts.add_metric(labels, tally.calls)
                    durations.add_metric(labels, _buckets(SECONDS, tally.counts), tally.total)
        yield counts
        yield durations


def _buckets(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    names = [*(f"{bound:g}" for bound in bounds), "+Inf"]
    return [(name, float(count)) for name, count in zip(names, accumulate(counts), strict=True)]


def _loads(loads: Loads) -> Iterator[Metric]:
    for name, text, counts, total in (
        ("destinations_per_request", "Rules that matched a request.", loads.matched, loads.matched_total),
        ("instances_per_request", "Instances built for a request.", loads.instances, loads.instances_total),
    ):
        yield HistogramMetricFamily(
            f"mixer_dispatcher_{name}", text, buckets=_buckets(SIZES, counts), sum_value=float(total)
        )
