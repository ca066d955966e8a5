"""Counters in Prometheus' text format, under the names that Envoy gives them."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import accumulate
from typing import Final

from mizzen.proxy.app.istio_metrics import read_labels
from mizzen.proxy.app.stats_page import Selection
from mizzen.proxy.engine.control import StatKey, Stats
from mizzen.proxy.engine.stats import BUCKETS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_NAME_LABELS: Final = {
    "cluster": "envoy_cluster_name",
    "http": "envoy_http_conn_manager_prefix",
    "tcp": "envoy_tcp_prefix",
    "listener": "envoy_listener_address",
}
"""The label that carries the middle part of `<scope>.<name>.<metric>`."""
_CODE = re.compile(r"_rq_(\d)xx$|_rq_(\d{3})$")
_POLICY = re.compile(r"^rbac\.policy\.(.+)\.(\w+)$")
_UNSAFE = re.compile(r"[^a-zA-Z0-9_]")
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

Labels = tuple[tuple[str, str], ...]


def exposition(stats: Stats, selection: Selection) -> str:
    """All selected metrics, one family after the other."""
    families: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key, value, gauge in selection.numbers(stats):
        name, labels = metric(key)
        families[name, "gauge" if gauge else "counter"].append(f"{name}{_braces(labels)} {value}")
    for key, values in selection.histograms(stats):
        name, labels = metric(key)
        families[name, "histogram"] += _histogram(name, labels, values)
    lines = []
    for (name, kind), samples in sorted(families.items()):
        lines += [f"# TYPE {name} {kind}", *samples]
    return "".join(f"{line}\n" for line in lines)


def metric(key: StatKey) -> tuple[str, Labels]:
    """Name and labels: response codes and the names of clusters, listeners and so on are labels."""
    scope, name, rest = key
    if scope == "istio":
        return f"istio_{rest}", read_labels(name)
    labels: list[tuple[str, str]] = []
    code = _CODE.search(rest)
    if code is not None:
        digit, status = code.groups()
        rest = rest[: code.start()] + ("_rq_xx" if digit else "_rq")
        labels.append(("envoy_response_code_class", digit) if digit else ("envoy_response_code", status))
    policy = _POLICY.search(rest)
    if policy is not None:
        rest = f"rbac_policy_{policy[2]}"
        labels.append(("policy", policy[1]))
    if name:
        labels.append((_NAME_LABELS.get(scope, "name"), name.removesuffix(";")))  # Istio's mark of a name's end
    prefix = "" if scope.startswith("mizzen_") else "envoy_"
    return _UNSAFE.sub("_", f"{prefix}{scope}_{rest}"), tuple(labels)


def _histogram(name: str, labels: Labels, values: tuple[float, ...]) -> list[str]:
    totals = [int(total) for total in accumulate(values[:-1])]
    ends = (*(f"{end:g}" if end < 1e6 else str(int(end)) for end in BUCKETS), "+Inf")
    lines = [f"{name}_bucket{_braces((*labels, ('le', end)))} {total}" for end, total in zip(ends, totals, strict=True)]
    return [*lines, f"{name}_sum{_braces(labels)} {values[-1]:g}", f"{name}_count{_braces(labels)} {totals[-1]}"]


def _braces(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels) + "}"
