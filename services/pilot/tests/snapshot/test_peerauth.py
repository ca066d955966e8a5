"""Which PeerAuthentication counts for a workload."""

from __future__ import annotations

import pytest

from mizzen.api.parse import parse
from mizzen.api.security import PeerAuthentication
from mizzen.pilot.base.labels import labels
from mizzen.pilot.snapshot.peerauth import PeerAuthentications
from mizzen.pilot.snapshot.select import of_kind

CASES = [
    ([], "PERMISSIVE", {}),
    (["istio-system {mtls: {mode: STRICT}}"], "STRICT", {}),
    (["other {mtls: {mode: STRICT}}"], "PERMISSIVE", {}),
    (["istio-system {mtls: {mode: STRICT}}", "shop {mtls: {mode: DISABLE}}"], "DISABLE", {}),
    (["istio-system {mtls: {mode: STRICT}}", "shop {mtls: {mode: UNSET}}"], "STRICT", {}),
    (["istio-system {mtls: {mode: STRICT}}", "shop {}"], "STRICT", {}),
    (["shop {mtls: {mode: STRICT}}", "shop {selector: {matchLabels: {app: web}}}"], "STRICT", {}),
    (
        ["shop {mtls: {mode: STRICT}}", "shop {selector: {matchLabels: {app: web}}, mtls: {mode: DISABLE}}"],
        "DISABLE",
        {},
    ),
    (["shop {selector: {matchLabels: {app: db}}, mtls: {mode: DISABLE}}"], "PERMISSIVE", {}),
    (["istio-system {selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}}"], "PERMISSIVE", {}),
    (["shop {mtls: {mode: STRICT}}", "shop {mtls: {mode: DISABLE}}"], "STRICT", {}),
    (
        ["shop {selector: {matchLabels: {app: web}}, portLevelMtls: {80: {mode: STRICT}, 81: {mode: UNSET}}}"],
        "PERMISSIVE",
        {80: "STRICT"},
    ),
    (
        [
            "shop {mtls: {mode: STRICT}}",
            "shop {selector: {matchLabels: {app: web}}, portLevelMtls: {80: {mode: PERMISSIVE}}}",
        ],
        "STRICT",
        {80: "PERMISSIVE"},
    ),
]


@pytest.mark.parametrize(("policies", "mode", "ports"), CASES)
def test_the_narrowest_scope_that_says_anything_counts(policies: list[str], mode: str, ports: dict[int, str]) -> None:
    documents = []
    for age, policy in enumerate(policies):
        namespace, _, spec = policy.partition(" ")
        documents.append(
            "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n"
            f"metadata: {{name: p{age}, namespace: {namespace}, creationTimestamp: 2026-01-0{age + 1}T00:00:00Z}}\n"
            f"spec: {spec}\n"
        )
    parsed = parse("---\n".join(documents))
    assert not [problem for problem in parsed.problems if problem.severity == "error"]
    everything = PeerAuthentications(tuple(of_kind(parsed.resources, PeerAuthentication)))
    accepted = everything.of("shop", labels({"app": "web", "version": "v1"}))
    assert (accepted.mode, accepted.ports) == (mode, ports)
    assert accepted.on(80) == ports.get(80, mode)
