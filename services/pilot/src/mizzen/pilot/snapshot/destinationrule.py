"""DestinationRules: merged per host, looked up for a client and a service, and the policy that comes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from mizzen.api import destinationrule as dr
from mizzen.api.problem import Problem
from mizzen.api.resource import Resource
from mizzen.pilot.base import host as hosts
from mizzen.pilot.base.labels import NONE, Labels, labels
from mizzen.pilot.snapshot.select import exported, visible


@dataclass(frozen=True, slots=True)
class Rule:
    """One DestinationRule, or several of a namespace merged because they speak of the same host."""

    parts: tuple[Resource[dr.DestinationRule], ...]
    host: str
    """Full name or wildcard."""
    namespace: str
    export_to: frozenset[str]
    selector: Labels
    """The clients it is for; empty means all."""
    policy: dr.TrafficPolicy | None
    subsets: tuple[dr.Subset, ...]

    def __hash__(self) -> int:
        return hash(self.parts)

    @property
    def origin(self) -> tuple[str, str, str]:
        """Kind, namespace and name of the oldest part."""
        return ("DestinationRule", self.namespace, self.parts[0].metadata.name)

    def subset(self, name: str) -> dr.Subset | None:
        return next((subset for subset in self.subsets if subset.name == name), None)


@dataclass(frozen=True, slots=True)
class Policy:
    """What applies to one port of a service, or of a subset: no levels any more."""

    load_balancer: dr.LoadBalancerSettings | None = None
    connection_pool: dr.ConnectionPoolSettings | None = None
    outlier_detection: dr.OutlierDetection | None = None
    tls: dr.ClientTLSSettings | None = None
    tunnel: dr.TunnelSettings | None = None
    proxy_protocol: dr.ProxyProtocol | None = None
    retry_budget: dr.RetryBudget | None = None


PORT_LEVEL = ("load_balancer", "connection_pool", "outlier_detection", "tls")
DESTINATION_LEVEL = (*PORT_LEVEL, "tunnel", "proxy_protocol", "retry_budget")


def effective(rule: Rule | None, port: int, subset: dr.Subset | None = None) -> Policy:
    """The policy for a port: a port-level entry replaces its level whole; what the subset sets replaces the host's."""
    if rule is None:
        return Policy()
    base, _ = _select(rule.policy, port)
    if subset is None or subset.traffic_policy is None:
        return base
    own, at_port = _select(subset.traffic_policy, port)
    taken = {name: getattr(own, name) for name in DESTINATION_LEVEL if getattr(own, name) is not None}
    if at_port:
        taken |= {name: getattr(own, name) for name in PORT_LEVEL}
    return replace(base, **taken)


def _select(policy: dr.TrafficPolicy | None, port: int) -> tuple[Policy, bool]:
    """The policy of a level for a port, and whether it comes from a port-level entry."""
    if policy is None:
        return Policy(), False
    for entry in policy.port_level_settings:
        if entry.port is not None and entry.port.number == port:
            return Policy(**{name: getattr(entry, name) for name in PORT_LEVEL}), True
    return Policy(**{name: getattr(policy, name) for name in DESTINATION_LEVEL}), False


@dataclass(frozen=True, slots=True, eq=False)
class RuleIndex:
    """DestinationRules by namespace, ready for lookup. Compared by identity: a cheap part of cache keys."""

    by_namespace: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    root_namespace: str = "istio-system"

    def lookup(self, host: str, service_namespace: str, client_namespace: str, client_labels: Labels) -> Rule | None:
        """The rule a client uses for a service: of its own namespace, then the service's, then the root namespace.

        In each step the most specific host is chosen first and its visibility checked after.
        """
        own = self.by_namespace.get(client_namespace, ())
        if client_namespace == self.root_namespace:
            own = tuple(rule for rule in own if rule.export_to == {client_namespace})
        found = _best(own, host, client_labels)
        if found is not None:
            return found
        for namespace in dict.fromkeys((service_namespace, self.root_namespace)):
            found = _best(self.by_namespace.get(namespace, ()), host, client_labels)
            if found is not None and visible(found.export_to, client_namespace):
                return found
        return None


def index(rules: Iterable[Resource[dr.DestinationRule]], suffix: str, root: str, problems: list[Problem]) -> RuleIndex:
    """Merge rules (oldest first) and index them; what merging drops is a problem."""
    by_namespace: dict[str, list[Rule]] = {}
    for resource in rules:
        meta, spec = resource.metadata, resource.spec
        rule = Rule(
            parts=(resource,),
            host=hosts.resolve(spec.host, meta.namespace, suffix),
            namespace=meta.namespace,
            export_to=exported(spec.export_to, meta.namespace),
            selector=labels(spec.workload_selector.match_labels) if spec.workload_selector else NONE,
            policy=spec.traffic_policy,
            subsets=spec.subsets,
        )
        _add(by_namespace.setdefault(meta.namespace, []), rule, problems)
    return RuleIndex({namespace: tuple(found) for namespace, found in by_namespace.items()}, root)


def _add(known: list[Rule], rule: Rule, problems: list[Problem]) -> None:
    for position, older in enumerate(known):
        if older.host != rule.host or older.selector != rule.selector:
            continue
        if older.export_to == rule.export_to or rule.export_to > older.export_to:
            known[position] = _merge(older, rule, problems)
            if older.export_to != rule.export_to:
                known.append(rule)  # it is seen by more namespaces, and those get it alone
            return
    known.append(rule)


def _merge(older: Rule, newer: Rule, problems: list[Problem]) -> Rule:
    resource = newer.parts[0]
    taken = {subset.name for subset in older.subsets}
    for position, subset in enumerate(newer.subsets):
        if subset.name in taken:
            message = (
                f"subset {subset.name!r} of {older.host} is already defined by {older.parts[0].id}, which is older"
            )
            problems.append(Problem(resource.source, resource.id, f"spec.subsets[{position}].name", message))
    if older.policy is not None and newer.policy is not None:
        message = f"{older.parts[0].id} is older and sets the traffic policy of {older.host}; this one has no effect"
        problems.append(Problem(resource.source, resource.id, "spec.trafficPolicy", message, "warning"))
    return replace(
        older,
        parts=(*older.parts, resource),
        policy=older.policy if older.policy is not None else newer.policy,
        subsets=older.subsets + tuple(subset for subset in newer.subsets if subset.name not in taken),
    )


def _best(rules: Iterable[Rule], host: str, client: Labels) -> Rule | None:
    """The rule with the most specific host; among equals one for this very client, then the oldest."""
    fitting = [rule for rule in rules if rule.selector <= client and hosts.covers(rule.host, host)]
    return min(fitting, key=lambda rule: (hosts.specificity(rule.host), not rule.selector), default=None)


def labels_of_subset(subset: dr.Subset) -> Labels:
    """The labels that the endpoints of a subset carry."""
    return labels(subset.labels)
