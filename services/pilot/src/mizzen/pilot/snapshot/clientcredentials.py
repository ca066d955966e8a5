"""Credentials with which gateways begin TLS to others: `credentialName` of DestinationRules, as Istio reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from mizzen.api.destinationrule import ClientTLSMode, ClientTLSSettings, DestinationRule
from mizzen.api.problem import Problem
from mizzen.api.resource import Resource
from mizzen.pilot.snapshot.credentials import Resources, authorities_name, resource_name, unusable_everywhere

ORIGINATED: Final = frozenset({ClientTLSMode.SIMPLE, ClientTLSMode.MUTUAL})
"""Modes in which a rule has clients begin TLS of their own."""


def shown(settings: ClientTLSSettings) -> str:
    """The name of what servers are shown; empty where that is not in a Secret."""
    stated = settings.credential_name if settings.mode is ClientTLSMode.MUTUAL else ""
    return resource_name(stated) if stated else ""


def believed(settings: ClientTLSSettings) -> str:
    """The name of those who are believed about servers; empty where that is not in a Secret."""
    return "" if settings.insecure_skip_verify else authorities_name(settings.credential_name)


def named(spec: DestinationRule) -> Iterator[tuple[str, str]]:
    """Where in a rule, and the name of what it needs of Secrets there."""
    for place, settings in _settings(spec):
        if settings is not None and settings.mode in ORIGINATED:
            for name in filter(None, (shown(settings), believed(settings))):
                yield f"{place}.credentialName", name


def problems(rules: Iterable[Resource[DestinationRule]], resources: Resources) -> Iterator[Problem]:
    """Credentials with which no gateway can connect, wherever it may be, and those of sidecars, which get none."""
    namespaces = {key.namespace for key in resources if key.kind == "Secret"} or {"*"}
    for rule in rules:
        for place, name in named(rule.spec):
            if rule.spec.workload_selector is not None:
                message = "sidecars get no Secrets in this version; those that workloadSelector selects use plain text"
                yield Problem(rule.source, rule.id, place, message, "warning")
                continue
            reason = unusable_everywhere(name, namespaces, resources)
            if reason:
                message = f"credential {name} cannot be used: {reason}; gateways do not connect"
                yield Problem(rule.source, rule.id, place, message, "warning")


def _settings(spec: DestinationRule) -> Iterator[tuple[str, ClientTLSSettings | None]]:
    policies = [("spec.trafficPolicy", spec.traffic_policy)]
    policies += [(f"spec.subsets[{i}].trafficPolicy", subset.traffic_policy) for i, subset in enumerate(spec.subsets)]
    for place, policy in policies:
        if policy is not None:
            yield f"{place}.tls", policy.tls
            for i, port in enumerate(policy.port_level_settings):
                yield f"{place}.portLevelSettings[{i}].tls", port.tls
