"""The page by the Gateway API, beside Istio's Gateway; on Kubernetes, its objects tell what became of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.kube.mesh import NAMESPACE, KubeMesh
from support.mesh import Mesh, eventually, get

HOST = {"Host": "shop.books.example"}
EDGE = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: mizzen}
spec: {controllerName: mizzen.io/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  gatewayClassName: mizzen
  listeners: [{name: http, port: 80, protocol: HTTP, hostname: "*.books.example"}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: page, namespace: default}
spec:
  parentRefs: [{name: edge}]
  hostnames: [shop.books.example]
  rules:
  - matches: [{path: {value: /books}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /productpage}}}]
    backendRefs: [{name: productpage, port: 9080}]
"""
BALANCER = "192.0.2.10"
"""An address that a cloud's load balancer could have."""


@contextmanager
def edge(mesh: Mesh) -> Iterator[None]:
    """The Gateway and its route are there meanwhile."""
    with mesh.gateway_api():
        mesh.ok("apply", "-f", "-", stdin=EDGE)
        try:
            yield
        finally:
            mesh.ok("delete", "--ignore-not-found", "-f", "-", stdin=EDGE)


def status(path: str) -> int:
    return get(path, HOST).status


def test_a_gateway_and_a_route_lead_to_the_page_until_they_are_deleted(mesh: Mesh) -> None:
    assert status("/books") == 404
    with edge(mesh):
        eventually(lambda: status("/books") == 200, "the page at its new path", seconds=30)
        assert "The Comedy of Errors" in get("/books", HOST).body.decode()
        assert status("/productpage") == 404, "this host has one path"
        assert get("/productpage").status == 200, "other hosts are Istio's Gateway's"
    eventually(lambda: status("/books") == 404, "the path taken back", seconds=30)
    assert get("/productpage").status == 200


@pytest.fixture
def kube(mesh: Mesh) -> KubeMesh:
    assert isinstance(mesh, KubeMesh)
    return mesh


def balance(mesh: KubeMesh, *addresses: str) -> None:
    """Do what a cloud does for a Service of type LoadBalancer."""
    ingress = [{"ip": address} for address in addresses]
    patch = json.dumps({"status": {"loadBalancer": {"ingress": ingress}}})
    where = ("service", "istio-ingressgateway", "--namespace", NAMESPACE)
    mesh.cluster.kubectl("patch", *where, "--subresource=status", "--type=merge", f"--patch={patch}")


def columns(mesh: KubeMesh) -> list[str]:
    """What `kubectl get` shows of the Gateway, but its age."""
    lines = mesh.ok("get", "gateways.gateway.networking.k8s.io", "edge").splitlines()
    return [word for line in lines for word in line.split()[:-1]]


@pytest.mark.runtime("kube", reason="status is what an API server has")
def test_a_gateway_tells_where_it_is_reached_and_a_route_whether_it_is_served(kube: KubeMesh) -> None:
    def condition(kind: str, name: str, wanted: str) -> Any:
        found = kube.cluster.get(kind, name).get("status", {})
        listed = found["parents"][0]["conditions"] if found.get("parents") else found.get("conditions", [])
        return next((f"{c['status']} {c['reason']}" for c in listed if c["type"] == wanted), "")

    gateway = ("gateways.gateway.networking.k8s.io", "edge", "Programmed")
    with edge(kube):
        eventually(lambda: condition(*gateway) == "False AddressNotAssigned", "a pending address", seconds=30)
        balance(kube, BALANCER)
        try:
            head = ["NAME", "CLASS", "ADDRESS", "PROGRAMMED"]
            eventually(lambda: columns(kube) == [*head, "edge", "mizzen", BALANCER, "True"], "Programmed", seconds=30)
        finally:
            balance(kube)
        assert condition("httproutes", "page", "Accepted") == "True Accepted"
        assert condition("httproutes", "page", "ResolvedRefs") == "True ResolvedRefs"
        assert condition("gatewayclasses", "mizzen", "Accepted") == "True Accepted"
