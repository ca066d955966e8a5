"""A VirtualService that leaves routes to others."""

from __future__ import annotations

from simulation.cases.base import SERVICES, case, named_headers, outbound
from simulation.harness.call import Call, Case
from simulation.harness.world import World

YAML = (
    SERVICES
    + """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: root, namespace: default}
spec:
  hosts: [reviews]
  http:
  - name: team-a
    match: [{uri: {prefix: /a}, headers: {x-root: {exact: "1"}}}]
    delegate: {name: team-a, namespace: prod}
  - name: team-b
    match: [{uri: {prefix: /b}}]
    delegate: {name: team-b}
  - name: hidden
    match: [{uri: {prefix: /hidden}}]
    delegate: {name: hidden, namespace: prod}
  - name: gone
    match: [{uri: {prefix: /gone}}]
    delegate: {name: gone}
  - name: rest
    route: [{destination: {host: reviews}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: team-a, namespace: prod}
spec:
  http:
  - name: deep
    match: [{uri: {prefix: /a/deep}, headers: {x-leaf: {exact: "1"}}}]
    route: [{destination: {host: reviews}}]
  - {name: conflict, match: [{uri: {prefix: /elsewhere}}], route: [{destination: {host: reviews}}]}
  - {name: any, route: [{destination: {host: reviews.default.svc.cluster.local, subset: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: team-b, namespace: default}
spec:
  http:
  - {name: any, rewrite: {uri: /}, route: [{destination: {host: ratings}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: hidden, namespace: prod}
spec:
  exportTo: ["."]
  http:
  - {name: any, route: [{destination: {host: reviews}}]}
"""
)

LEFT_OUT = ("http[0].delegate: conflicts", "prod/hidden is not exported", "default/gone does not exist")
WORLDS = (World("delegate", YAML, errors=LEFT_OUT),)


def _route(name: str, route: str, path: str, cluster: str, **headers: str) -> Case:
    call = Call("reviews", path, headers=named_headers(**headers))
    return case("delegate", name, call, kind="forward", route=route, cluster=cluster)


REST = outbound("reviews")
DEEP = outbound("reviews", namespace="prod")

CASES = (
    # A short destination in a delegate means the delegate's namespace.
    _route("both matches hold", "team-a-deep", "/a/deep/x", DEEP, x_root="1", x_leaf="1"),
    _route("the root's match has to hold", "rest", "/a/deep/x", REST, x_leaf="1"),
    _route("the leaf without match", "team-a-any", "/a/x", outbound("reviews", "v1"), x_root="1"),
    _route("a leaf that contradicts the root is dropped", "rest", "/elsewhere", REST, x_root="1"),
    _route("in the same namespace", "team-b-any", "/b", outbound("ratings")),
    _route("a delegate that is not exported here", "rest", "/hidden", REST),
    _route("a delegate that does not exist", "rest", "/gone", REST),
)
