"""Policies that are for nobody, of which somebody must be told: what they forbid is not forbidden."""

from __future__ import annotations

from typing import Any

import pytest

GATEWAY = "{group: gateway.networking.k8s.io, kind: Gateway, name: edge}"
WORKLOAD = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: edge, namespace: shop}
spec:
  hosts: [edge.shop]
  location: MESH_INTERNAL
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.9, labels: {"gateway.networking.k8s.io/gateway-name": edge}}]
"""


def policy(kind: str, spec: str, namespace: str = "shop") -> str:
    metadata = f"{{name: p, namespace: {namespace}}}"
    return f"apiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {metadata}\nspec: {{{spec}}}\n"


def denying(target: str, namespace: str = "shop") -> str:
    return policy("AuthorizationPolicy", f"action: DENY, rules: [{{}}], targetRefs: [{target}]", namespace)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (
            [denying(GATEWAY)],
            "spec.targetRefs[0]: no workload of shop has the label gateway.networking.k8s.io/gateway-name: edge",
        ),
        ([denying(GATEWAY, "other"), WORKLOAD], "no workload of other has the label"),
        ([denying("{kind: Service, name: web}")], "spec.targetRefs[0]: targets of kind Service are for waypoints"),
        (
            [
                policy(
                    "RequestAuthentication",
                    f'targetRef: {GATEWAY}, jwtRules: [{{issuer: me, jwks: \'{{"keys": [{{"kty": "EC"}}]}}\'}}]',
                )
            ],
            "spec.targetRef: no workload of shop",
        ),
        (
            [policy("PeerAuthentication", "selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}", "istio-system")],
            "spec.selector: cannot stand in the root namespace, so that this policy has no effect",
        ),
    ],
)
def test_a_policy_that_is_for_nobody_is_told_of(world: Any, texts: list[str], expected: str) -> None:
    [problem] = world(*texts).mesh.problems
    assert problem.severity == "warning"
    assert expected in str(problem)


@pytest.mark.parametrize(
    "texts",
    [
        [denying(GATEWAY), WORKLOAD],
        [policy("AuthorizationPolicy", "action: DENY, rules: [{}], selector: {matchLabels: {app: web}}")],
        [policy("PeerAuthentication", "mtls: {mode: STRICT}", "istio-system")],
        [policy("PeerAuthentication", "selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}")],
    ],
)
def test_other_policies_are_not(world: Any, texts: list[str]) -> None:
    assert world(*texts).mesh.problems == ()
