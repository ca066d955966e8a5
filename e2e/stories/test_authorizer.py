"""Somebody else decides who may do what: an authorizer of the mesh, in a mesh that takes nothing but mutual TLS."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import yaml
from support.authorizer import PROVIDER, PROXY, REGISTERED, USER, authorizer
from support.mesh import Mesh, eventually, get, in_force

from mizzen.runtime.files import write_atomic

pytestmark = pytest.mark.runtime("local", reason="a workload joins by hand")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""And the client's settings, none."""
PRODUCTS = "/api/v1/products"
STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
"""
ASKED = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: sign-in, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  action: CUSTOM
  provider: {name: sign-in}
  rules: [{to: [{operation: {paths: [/api/*]}}]}]
"""
ONLY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: who-asks, namespace: default}}
spec:
  selector: {{matchLabels: {{app: sign-in}}}}
  rules: [{{from: [{{source: {{namespaces: [{namespace}]}}}}]}}]
"""


@contextmanager
def provided(mesh: Mesh) -> Iterator[None]:
    """The mesh config names the authorizer."""
    config = mesh.home / "mesh.yaml"
    before = config.read_text()
    write_atomic(config, yaml.safe_dump(yaml.safe_load(before) | {"extensionProviders": [PROVIDER]}))
    try:
        yield
    finally:
        write_atomic(config, before)


def products(user: str = "") -> int:
    """The status of the products, for somebody or nobody."""
    return get(PRODUCTS, {USER: user} if user else {}).status


def answers_plain_text() -> bool:
    """Whether the authorizer says anything to a client without TLS: who speaks HTTP/2 says so first."""
    with socket.create_connection((PROXY, 9000), 10) as client:
        client.sendall(PREFACE)
        try:
            return bool(client.recv(1))
        except ConnectionError:
            return False


@pytest.mark.parametrize("engine", ["python", "envoy"])
def test_an_authorizer_behind_a_sidecar_decides_in_a_mesh_that_is_strict(mesh: Mesh, engine: str) -> None:
    with authorizer(mesh, engine) as asked, provided(mesh), in_force(mesh, "---".join((STRICT, REGISTERED, ASKED))):
        eventually(lambda: products("jane") == 200 and products() == 403, "products for who has signed in")
        eventually(lambda: not answers_plain_text(), "an authorizer that takes mutual TLS alone")
        assert PRODUCTS in asked
        before = len(asked)
        assert get("/productpage").status == 200
        assert len(asked) == before, "nobody asks about other paths"
    eventually(lambda: products() == 200, "products for everybody again")


@pytest.mark.parametrize("engine", ["python", "envoy"])
def test_a_policy_says_who_may_ask_an_authorizer(mesh: Mesh, engine: str) -> None:
    policies = "---".join((REGISTERED, ASKED, ONLY.format(namespace="istio-system")))
    with authorizer(mesh, engine), provided(mesh), in_force(mesh, policies):
        eventually(lambda: products("jane") == 200, "an authorizer that the gateway may ask")
        mesh.ok("apply", "-f", "-", stdin=ONLY.format(namespace="elsewhere"))
        eventually(lambda: products("jane") == 403, "an authorizer that the gateway may not ask")
