"""Labels of Istio's standard metrics, for what the workers counted. Source: Istio 1.5's telemetry v2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import add
from typing import Any, TypeVar

from mizzen.proxy.app.mixer.attributes import forwarded_attributes
from mizzen.proxy.app.node import Node
from mizzen.proxy.engine.control import StatKey, Stats
from mizzen.proxy.engine.plan import ClusterPlan
from mizzen.proxy.io.telemetry import SCOPE, Key, read_key
from mizzen.proxy.snapshot.store import Store

UNKNOWN = "unknown"
_LABEL_END, _VALUE = ";.;", "=.="
"""As Istio writes labels into the names of Envoy's stats."""
_NO_SERVICE = frozenset({"PassthroughCluster", "BlackHoleCluster", "InboundPassthroughCluster"})
"""Clusters that stand for destinations of which Pilot knows nothing: Istio names them in place of a service."""
Value = TypeVar("Value", int, tuple[float, ...])
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Peer:
    """One end of a request; what is not known is empty."""

    workload: str = ""
    namespace: str = ""
    app: str = ""
    version: str = ""
    canonical: str = ""
    revision: str = ""
    principal: str = ""
    """Its identity, where TLS has proved it."""

    def labels(self, side: str) -> Labels:
        """With `source` or `destination` in front of their names."""
        values = (
            ("workload", self.workload),
            ("workload_namespace", self.namespace),
            ("principal", self.principal),
            ("app", self.app),
            ("version", self.version),
            ("canonical_service", self.canonical or self.workload),
            ("canonical_revision", self.revision or "latest"),
        )
        return tuple((f"{side}_{name}", value or UNKNOWN) for name, value in values)


def labelled(stats: Stats, node: Node, store: Store) -> Stats:
    """The same with labels in place of the workers' keys."""
    own = own_peer(node)
    names: dict[str, str] = {}
    for scope, name, _ in (*stats.counters, *stats.histograms):
        if scope == SCOPE and name not in names:
            names[name] = name_of(labels_of(read_key(name), own, store))
    if not names:
        return stats
    histograms = _renamed(stats.histograms, names, lambda one, other: tuple(map(add, one, other)))
    return replace(stats, counters=_renamed(stats.counters, names, add), histograms=histograms)


def name_of(labels: Labels) -> str:
    """The name of a stat that carries these labels."""
    return "".join(f"{label}{_VALUE}{value}{_LABEL_END}" for label, value in labels)


def read_labels(name: str) -> Labels:
    """Labels from the name of a stat."""
    pairs = (part.partition(_VALUE) for part in name.split(_LABEL_END) if part)
    return tuple((label, value) for label, _, value in pairs)


def labels_of(key: Key, own: Peer, store: Store) -> Labels:
    """All labels of one kind of requests."""
    direction, cluster, status, flags, workload, forwarded, principal = key
    inbound = direction == "inbound"
    own = own if principal else replace(own, principal="")
    client = replace(_client(forwarded), principal=principal)
    source, destination = (client, own) if inbound else (own, _endpoint(workload))
    host, name, namespace = _service(cluster, store)
    labels = [
        ("reporter", "destination" if inbound else "source"),
        *source.labels("source"),
        *destination.labels("destination"),
        ("destination_service", host or UNKNOWN),
        ("destination_service_name", name or UNKNOWN),
        ("destination_service_namespace", namespace or destination.namespace or UNKNOWN),
    ]
    if status >= 0:
        labels += [("request_protocol", "http"), ("response_code", str(status)), ("grpc_response_status", "")]
    else:
        labels.append(("request_protocol", "tcp"))
    security = ("mutual_tls" if principal else "none") if inbound else UNKNOWN
    labels += [("response_flags", flags or "-"), ("connection_security_policy", security)]
    return tuple(labels)


def own_peer(node: Node) -> Peer:
    """The workload of this proxy, from the metadata that it tells Pilot."""
    metadata: Mapping[str, Any] = node.metadata
    carried = metadata.get("LABELS", {})
    pod = node.id.split("~")[2].rpartition(".")[0]
    app, version = str(carried.get("app", "")), str(carried.get("version", ""))
    return Peer(
        workload=str(metadata.get("WORKLOAD_NAME", "")) or pod,
        namespace=str(metadata.get("NAMESPACE", "")),
        app=app,
        version=version,
        canonical=str(carried.get("service.istio.io/canonical-name", "")) or app,
        revision=str(carried.get("service.istio.io/canonical-revision", "")) or version,
        principal=str(metadata.get("PRINCIPAL", "")),
    )


def _client(forwarded: bytes) -> Peer:
    """What a trusted peer said of itself."""
    if not forwarded:
        return Peer()
    said = forwarded_attributes(forwarded)
    pod, _, namespace = str(said.get("source.uid", "")).removeprefix("kubernetes://").rpartition(".")
    return Peer(
        workload=str(said.get("source.workload.name", "")) or pod,
        namespace=str(said.get("source.namespace", "")) or namespace,
    )


def _endpoint(workload: str) -> Peer:
    """Pilot's `<workload>;<namespace>;<canonical name>;<canonical revision>;<cluster>`."""
    name, namespace, canonical, revision, *_ = (*workload.split(";"), "", "", "")
    return Peer(name, namespace, canonical, revision, canonical, revision)


def _service(cluster: str, store: Store) -> tuple[str, str, str]:
    """Host, name and namespace."""
    held = store.kinds["cluster"].get(cluster)
    if held is not None and isinstance(held.plan, ClusterPlan) and held.plan.service[0]:
        return held.plan.service
    if cluster in _NO_SERVICE:
        return "", cluster, ""
    host = cluster.rpartition("|")[2] if cluster.count("|") == 3 else ""
    return host, host, ""


def _renamed(values: Mapping[StatKey, Value], names: Mapping[str, str], plus: Any) -> dict[StatKey, Value]:
    """Keys that got the same labels are added up."""
    found: dict[StatKey, Value] = {}
    for (scope, name, metric), value in values.items():
        key = (scope, names.get(name, name) if scope == SCOPE else name, metric)
        found[key] = plus(found[key], value) if key in found else value
    return found
