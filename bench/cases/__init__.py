"""The cases by name; each is a function of `quick` that yields one result for each peer."""

from __future__ import annotations

from collections.abc import Callable

from bench.cases import http1, memory, mixer, pilot, reports, tcp
from bench.measure import Result

CASES: dict[str, Callable[[bool], list[Result]]] = {
    "http1-sidecar": http1.sidecar,
    "http1-gateway": http1.gateway,
    "http1-mtls-pair": http1.mutual_tls_pair,
    "latency-c1": http1.latency,
    "memory-idle": memory.idle,
    "pilot-endpoint-change": pilot.endpoint_change,
    "tcp-bulk": tcp.bulk,
    "mixer-check": mixer.check,
    "mixer-check-cached": mixer.check_cached,
    "mixer-report": reports.report,
}
