"""The ingress gateway: which hosts it serves, from which VirtualServices, on which port."""

from __future__ import annotations

from typing import Any

from simulation.cases.base import SERVICES, case, named_headers, outbound
from simulation.harness.call import Call, Case
from simulation.harness.world import World, gateway

INGRESS = """
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: http-alt, port: 8082, targetPort: 8082}]
---
apiVersion: v1
kind: Pod
metadata: {name: gateway, namespace: istio-system, labels: {istio: ingressgateway}}
status: {podIP: 127.0.0.1, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: istio-ingressgateway
  namespace: istio-system
  labels: {kubernetes.io/service-name: istio-ingressgateway}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: http-alt, port: 8082}]
endpoints:
- addresses: [127.0.0.1]
  conditions: {ready: true}
  targetRef: {kind: Pod, name: gateway, namespace: istio-system}
---
"""

YAML = (
    SERVICES
    + INGRESS
    + """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.shop.com", shop.com, prod/books.com]}
  - {port: {number: 80, name: http-secure, protocol: HTTP}, hosts: [secure.com], tls: {httpsRedirect: true}}
  - {port: {number: 8082, name: http-alt, protocol: HTTP}, hosts: [alt.com]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: empty, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 8090, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: all, namespace: default, creationTimestamp: "2024-01-01T00:00:00Z"}
spec:
  hosts: [shop.com]
  gateways: [edge]
  http:
  - {name: old-special, match: [{uri: {prefix: /special/old}}], route: [{destination: {host: reviews, subset: v1}}]}
  - {name: all, route: [{destination: {host: reviews}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: special, namespace: default, creationTimestamp: "2024-01-02T00:00:00Z"}
spec:
  hosts: [shop.com]
  gateways: [edge]
  http: [{name: special, match: [{uri: {prefix: /special}}], route: [{destination: {host: ratings}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: both, namespace: default}
spec:
  hosts: [www.shop.com, ratings]
  gateways: [mesh, edge]
  http:
  - name: only-edge
    match: [{uri: {prefix: /x}, gateways: [edge]}]
    route: [{destination: {host: reviews, subset: v1}}]
  - name: only-mesh
    match: [{uri: {prefix: /x}, gateways: [mesh]}]
    route: [{destination: {host: reviews, subset: v2}}]
  - name: labelled
    match: [{uri: {prefix: /l}, sourceLabels: {app: client}}]
    route: [{destination: {host: reviews, subset: v3}}]
  - {name: anywhere, route: [{destination: {host: ratings}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: wild, namespace: default}
spec:
  hosts: ["*.shop.com"]
  gateways: [default/edge]
  http: [{name: wild, route: [{destination: {host: reviews, subset: v3}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: books, namespace: default}
spec:
  hosts: [books.com]
  gateways: [edge]
  http: [{name: books-of-default, route: [{destination: {host: reviews}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: books, namespace: prod}
spec:
  hosts: [books.com]
  gateways: [default/edge]
  http: [{name: books-of-prod, route: [{destination: {host: reviews}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: secure, namespace: default}
spec:
  hosts: [secure.com]
  gateways: [edge]
  http: [{name: secure, route: [{destination: {host: reviews}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: alt, namespace: default}
spec:
  hosts: [alt.com]
  gateways: [edge]
  http: [{name: alt, route: [{destination: {host: reviews}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: mesh-only, namespace: default}
spec:
  hosts: [api.shop.com]
  http: [{name: mesh-only, route: [{destination: {host: ratings}}]}]
"""
)

WORLDS = (World("gateway", YAML, proxy=gateway()), World("beside a gateway", YAML))


def _route(host: str, path: str, route: str, cluster: str, port: int = 8080, **headers: str) -> Case:
    call = Call(host, path, headers=named_headers(**headers), port=port)
    return case("gateway", f"{host}:{port}{path}", call, kind="forward", route=route, cluster=cluster)


def _other(name: str, call: Call, **expected: Any) -> Case:
    return case("gateway", name, call, **expected)


REVIEWS, RATINGS = outbound("reviews"), outbound("ratings")

CASES = (
    # Port 80 of the Service is the listener 8080 (pitfall 17).
    _other("the Service's port is no listener", Call("shop.com", port=80), kind="no listener"),
    # VirtualServices for one host merge, catch-alls last (pitfall 1).
    _route("shop.com", "/special/old", "old-special", outbound("reviews", "v1")),
    _route("shop.com", "/special/new", "special", RATINGS),
    _route("shop.com", "/", "all", REVIEWS),
    _route("shop.com:8080", "/", "all", REVIEWS),
    _route("SHOP.com", "/", "all", REVIEWS),
    # Exact hosts before wildcards; a wildcard server host is narrowed to the VirtualService's.
    _route("www.shop.com", "/", "anywhere", RATINGS),
    _route("img.shop.com", "/", "wild", outbound("reviews", "v3")),
    _route("a.b.shop.com", "/", "wild", outbound("reviews", "v3")),
    # Which gateway a match is for; sourceLabels mean nothing at a gateway unless they are the gateway's.
    _route("www.shop.com", "/x", "only-edge", outbound("reviews", "v1")),
    _route("www.shop.com", "/l", "anywhere", RATINGS),
    case("beside a gateway", "mesh", Call("ratings", "/x"), kind="forward", route="only-mesh"),
    case("beside a gateway", "labels", Call("ratings", "/l"), kind="forward", route="labelled"),
    case("beside a gateway", "hosts bound to the gateway alone", Call("shop.com"), cluster="PassthroughCluster"),
    # `prod/books.com` takes VirtualServices of prod only.
    _route("books.com", "/", "books-of-prod", outbound("reviews", namespace="prod")),
    # httpsRedirect.
    _other("httpsRedirect", Call("secure.com", "/a?b", port=8080), kind="redirect", location="https://secure.com/a?b"),
    # A port that the Service maps to itself, and one that it does not have.
    _route("alt.com", "/", "alt", REVIEWS, port=8082),
    _other("hosts are per port", Call("alt.com", port=8080), kind="not found"),
    _other("no VirtualService at all", Call("any.com", port=8090), kind="not found"),
    _other("host without VirtualService", Call("ratings", port=8080), kind="not found"),
    _other("VirtualService of the mesh", Call("api.shop.com", port=8080), kind="forward", route="wild"),
)
