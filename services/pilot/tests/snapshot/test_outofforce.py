"""What is said of policies that are kept out: louder where no earlier version stands for them."""

from __future__ import annotations

import pytest

from mizzen.api.store.folder import Folder
from mizzen.pilot.snapshot.outofforce import out_of_force

GOOD = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: admins, namespace: shop}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}
"""
BROKEN = GOOD.replace("paths", "path")
TLS = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: tls}
spec: {mtls: {mode: SOMETIMES}}
"""
ROLES = (
    "apiVersion: rbac.istio.io/v1alpha1\nkind: ClusterRbacConfig\nmetadata: {name: default}\nspec: {mode: SOMETIMES}\n"
)
ROUTES = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec: {hosts: []}\n"


def said(*states: str) -> list[str]:
    """Of a file that has had these contents."""
    folder = Folder()
    for state in states:
        contents = folder.apply({"a.yaml": state})
    return [problem.resource for problem in out_of_force(contents)]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([BROKEN], ["AuthorizationPolicy shop/admins"]),
        ([GOOD, BROKEN], []),
        ([BROKEN, GOOD], []),
        ([GOOD], []),
        ([TLS], ["PeerAuthentication default/tls"]),
        ([ROLES], ["ClusterRbacConfig default"]),
        ([ROUTES], []),
        ([f"{BROKEN}---{BROKEN.replace('path:', 'pathes:')}"], ["AuthorizationPolicy shop/admins"]),
        ([BROKEN.replace("name: admins, ", "")], ["AuthorizationPolicy"]),
    ],
)
def test_what_protects_nobody(states: list[str], expected: list[str]) -> None:
    assert said(*states) == expected
