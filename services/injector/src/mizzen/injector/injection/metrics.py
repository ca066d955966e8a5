"""One scrape for application and proxy: the Pod's prometheus.io annotations move to the agent, which merges both."""

from __future__ import annotations

import re
from typing import Any

from mizzen.injector.injection.annotations import parse_bool
from mizzen.injector.injection.names import MERGE_METRICS, RESERVED_PORTS, STATUS_PORT, InjectionError, Object
from mizzen.injector.injection.pods import annotations_of

MAX_DIGITS = 5
"""Of a port."""
METRICS_PATH = "/stats/prometheus"
_UNUSUAL = re.compile("[^a-zA-Z0-9_]")
_FIELDS = {"prometheus_io_scrape": "scrape", "prometheus_io_path": "path", "prometheus_io_port": "port"}
_TARGETS = "prometheus_istio_io_scrape_targets"


def merge_metrics(pod: Object, by_default: bool, status_port: int) -> dict[str, Any] | None:
    """Point the annotations at the agent, in place; what the Pod said before, for the agent.

    None where nothing is merged, as without an agent (port 0), or nothing was said of the application. Raises
    InjectionError for a port that cannot be scraped.
    """
    annotations = annotations_of(pod)
    agent_port = str(status_port)
    said = _said(annotations)
    wanted = parse_bool(annotations[MERGE_METRICS]) if MERGE_METRICS in annotations else by_default
    # Somebody has pointed them at the agent already: the author, or an earlier injection.
    pointed = said.get("port") in (agent_port, str(STATUS_PORT))
    if not (wanted and status_port) or not _scraped(said.get("scrape", "")) or said.get("port") == agent_port:
        return None
    configuration = _configuration(said, agent_port) if said and not pointed else None
    kept = {name: value for name, value in annotations.items() if _plain(name) not in {*_FIELDS, _TARGETS}}
    pod.setdefault("metadata", {})["annotations"] = kept | {
        "prometheus.io/port": agent_port,
        "prometheus.io/path": METRICS_PATH,
        "prometheus.io/scrape": "true",
    }
    return configuration


def _said(annotations: dict[str, str]) -> dict[str, str]:
    """Prometheus reads `prometheus.io/port` and `prometheus_io_port` alike."""
    fields = _FIELDS | {_TARGETS: "targets"}
    return {fields[plain]: value for name, value in annotations.items() if (plain := _plain(name)) in fields}


def _plain(name: str) -> str:
    return _UNUSUAL.sub("_", name)


def _scraped(text: str) -> bool:
    try:
        return parse_bool(text)
    except ValueError:
        return True  # as in Istio: only a clear no is a no


def _configuration(said: dict[str, str], agent_port: str) -> dict[str, Any]:
    """Istio's form of ISTIO_PROMETHEUS_ANNOTATIONS."""
    configuration: dict[str, Any] = {name: said.get(name, "") for name in ("scrape", "path", "port")}
    targets = _targets(said.get("targets", ""))
    if targets:
        # The first target also stands where an agent that knows one target looks.
        configuration |= {"port": targets[0]["port"], "path": targets[0]["path"], "targets": targets}
    ports = [target["port"] for target in targets] or [configuration["port"]]
    for port in filter(None, ports):
        _check_port(port, agent_port, "prometheus.istio.io/scrape-targets" if targets else "prometheus.io/port")
    return configuration


def _targets(text: str) -> list[dict[str, str]]:
    parts = (entry.strip().partition(":") for entry in text.split(",") if entry.strip())
    return [{"port": port.strip(), "path": path.strip() or "/metrics"} for port, _, path in parts]


def _check_port(port: str, agent_port: str, annotation: str) -> None:
    if not (port.isascii() and port.isdecimal() and len(port) <= MAX_DIGITS and 1 <= int(port) <= 65535):
        raise InjectionError(f"annotation {annotation}: must be a port from 1 to 65535, got {port!r}")
    if int(port) in RESERVED_PORTS | {int(agent_port)}:
        raise InjectionError(f"annotation {annotation}: port {port} belongs to the proxy; name the application's own")
