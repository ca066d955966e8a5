"""Counters of serving, under the names that Istio's dashboards know."""

from __future__ import annotations

import collections

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from mizzen.pilot.generate.typeurls import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET

PlainCounter = Gauge
"""A counter under its own name: Istio's have no `_total` at the end, which prometheus_client's Counter insists on."""

SHORT_NAMES = {CLUSTER: "cds", ENDPOINT: "eds", LISTENER: "lds", ROUTE: "rds", SECRET: "sds"}


def short_name(type_url: str) -> str:
    """`cds` for the type URL of clusters, and so on; other type URLs as they are."""
    return SHORT_NAMES.get(type_url, type_url)


class ServingMetrics:
    """What the discovery server counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._clients = Gauge("pilot_xds", "Clients connected over xDS.", ["version"], registry=registry)
        self._connected: collections.Counter[str] = collections.Counter()
        self.pushes = PlainCounter("pilot_xds_pushes", "Responses sent, answers included.", ["type"], registry=registry)
        self.rejects = PlainCounter(
            "pilot_total_xds_rejects", "Responses that clients refused.", ["type"], registry=registry
        )
        self.expired_nonces = PlainCounter(
            "pilot_xds_expired_nonce", "Requests with an outdated nonce.", ["type"], registry=registry
        )
        self.internal_errors = PlainCounter(
            "pilot_total_xds_internal_errors", "Resources that could not be generated.", registry=registry
        )
        self.write_timeouts = Counter(
            "pilot_xds_write_timeout", "Streams that were ended because the client did not read.", registry=registry
        )
        self.convergence = Histogram(
            "pilot_proxy_convergence_time",
            "Seconds from a change to the moment when a client has answered all of it.",
            buckets=(0.1, 0.5, 1, 3, 5, 10, 20, 30),
            registry=registry,
        )

    def client_came(self, version: str) -> None:
        """One more client runs this."""
        self._connected[version] += 1
        self._clients.labels(version).set(self._connected[version])

    def client_left(self, version: str) -> None:
        """One less. What nobody runs any more is forgotten: versions are whatever clients say."""
        self._connected[version] -= 1
        if self._connected[version]:
            self._clients.labels(version).set(self._connected[version])
        else:
            del self._connected[version]
            self._clients.remove(version)
