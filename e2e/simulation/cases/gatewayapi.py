"""The Gateway API: routes at the ingress gateway and in the mesh, and which of several decides."""

from __future__ import annotations

from typing import Any

from simulation.cases.base import SERVICES, case, named_headers, outbound
from simulation.cases.gateways import INGRESS
from simulation.harness.call import Call, Case
from simulation.harness.world import World, gateway, sidecar

YAML = (
    SERVICES
    + INGRESS
    + """
apiVersion: v1
kind: Namespace
metadata: {name: prod, labels: {routes: "yes"}}
---
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
  listeners:
  - {name: any, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}
  - {name: shops, port: 80, protocol: HTTP, hostname: "*.shop.com"}
  - {name: closed, port: 80, protocol: HTTP, hostname: closed.shop.com}
  - name: labelled
    port: 8082
    protocol: HTTP
    allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {routes: "yes"}}}}
  - {name: secure, port: 8443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: foreign, namespace: default}
spec: {gatewayClassName: other, listeners: [{name: http, port: 8082, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: new, namespace: default, creationTimestamp: "2024-02-01T00:00:00Z"}
spec:
  parentRefs: [{name: edge, sectionName: shops}]
  hostnames: [www.shop.com, other.com]
  rules:
  - name: longer
    matches: [{path: {value: /books/old}}]
    backendRefs: [{name: ratings, port: 9080}]
  - name: same
    matches: [{path: {value: /same}}]
    backendRefs: [{name: ratings, port: 9080}]
  - name: post
    matches: [{path: {value: /books}, method: POST}]
    backendRefs: [{name: ratings, port: 9080}]
  - name: headers
    matches: [{path: {value: /books}, headers: [{name: End-User, value: jason}]}]
    backendRefs: [{name: ratings, port: 9080}]
  - name: query
    matches: [{path: {value: /books}, queryParams: [{name: page, type: RegularExpression, value: "[0-9]+"}]}]
    backendRefs: [{name: ratings, port: 9080}]
  - name: regex
    matches: [{path: {type: RegularExpression, value: "/bo+ks/[a-z]"}}]
    backendRefs: [{name: ratings, port: 9080}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: old, namespace: default, creationTimestamp: "2024-01-01T00:00:00Z"}
spec:
  parentRefs: [{name: edge, sectionName: shops}]
  hostnames: [www.shop.com]
  rules:
  - {name: exact, matches: [{path: {type: Exact, value: /books/old/one}}], backendRefs: [{name: reviews, port: 9080}]}
  - {name: books, matches: [{path: {value: /books}}], backendRefs: [{name: reviews, port: 9080}]}
  - {name: same, matches: [{path: {value: /same}}], backendRefs: [{name: reviews, port: 9080}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: everything, namespace: prod}
spec:
  parentRefs: [{name: edge, namespace: default}]
  rules:
  - name: prefix
    matches: [{path: {value: /prefix}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}]
    backendRefs: [{name: reviews, port: 9080}]
  - name: strip
    matches: [{path: {value: /strip/}}]
    filters:
    - {type: URLRewrite, urlRewrite: {hostname: in.side, path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}
    backendRefs: [{name: reviews, port: 9080}]
  - name: full
    matches: [{path: {value: /full}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /whole}}}]
    backendRefs: [{name: reviews, port: 9080}]
  - name: moved
    matches: [{path: {value: /moved}}]
    filters:
    - type: RequestRedirect
      requestRedirect: {hostname: there.com, path: {type: ReplacePrefixMatch, replacePrefixMatch: /to}}
  - name: secure
    matches: [{path: {value: /secure}}]
    filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 301}}]
  - name: edits
    matches: [{path: {value: /edits}}]
    filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-share, value: 100%}], remove: [x-gone]}}
    - {type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: x-back, value: "1"}]}}
    backendRefs: [{name: reviews, port: 9080}]
  - name: missing
    matches: [{path: {value: /missing}}]
    backendRefs: [{name: nobody, port: 9080}]
  - name: forbidden
    matches: [{path: {value: /forbidden}}]
    backendRefs: [{name: reviews, namespace: default, port: 9080}]
  - name: granted
    matches: [{path: {value: /granted}}]
    backendRefs: [{name: ratings, namespace: default, port: 9080}]
  - name: split
    matches: [{path: {value: /split}}]
    backendRefs: [{name: reviews, port: 9080, weight: 25}, {name: ratings, namespace: default, port: 9080, weight: 75}]
  - {name: nothing, matches: [{path: {value: /nothing}}]}
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: ratings, namespace: default}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: prod}]
  to: [{group: "", kind: Service, name: ratings}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: uninvited, namespace: prod}
spec:
  parentRefs: [{name: edge, namespace: default, sectionName: shops}, {name: foreign, namespace: default}]
  rules: [{matches: [{path: {value: /uninvited}}], backendRefs: [{name: reviews, port: 9080}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: calls, namespace: prod}
spec:
  parentRefs: [{name: edge, namespace: default, sectionName: any}]
  hostnames: [grpc.com]
  rules:
  - {name: one, matches: [{method: {service: a.B, method: Get}}], backendRefs: [{name: reviews, port: 9080}]}
  - {name: service, matches: [{method: {service: a.B}}], backendRefs: [{name: reviews, port: 9080}]}
  - {name: method, matches: [{method: {method: Get}}], backendRefs: [{name: reviews, port: 9080}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: produced, namespace: default}
spec:
  parentRefs: [{group: "", kind: Service, name: ratings}]
  rules:
  - {name: v1, matches: [{path: {value: /v1}}], backendRefs: [{name: reviews, port: 9080}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: consumed, namespace: prod}
spec:
  parentRefs: [{group: "", kind: Service, name: ratings, namespace: default, port: 9080}]
  rules:
  - {name: mine, backendRefs: [{name: reviews, port: 9080}]}
"""
)

WORLDS = (
    World("gateway api", YAML, proxy=gateway()),
    World("gateway api: producer", YAML),
    World("gateway api: consumer", YAML, proxy=sidecar("prod")),
)

REVIEWS, RATINGS, PROD = outbound("reviews"), outbound("ratings"), outbound("reviews", namespace="prod")


def _case(host: str, asked: str, method: str = "GET", port: int = 8080, **expected: Any) -> Case:
    headers = expected.pop("headers", {})
    call = Call(host, asked, method=method, headers=named_headers(**headers), port=port)
    return case("gateway api", f"{method} {host}:{port}{asked} {headers or ''}", call, **expected)


def _shop(path: str, route: str, cluster: str, method: str = "GET", **headers: str) -> Case:
    expected = {"kind": "forward", "route": f"default/{route}", "cluster": cluster}
    return _case("www.shop.com", path, method, headers=headers, **expected)


def _any(asked: str, rule: str, kind: str = "forward", **expected: Any) -> Case:
    return _case("any.com", asked, kind=kind, route=f"prod/everything/{rule}", **expected)


CASES = (
    # Across the routes of one host: exact, regex, the longest prefix, method, headers, parameters, the oldest.
    _shop("/books/old/one", "old/exact", REVIEWS),
    _shop("/books/old/two", "new/longer", RATINGS),
    _shop("/books/old", "new/longer", RATINGS),
    _shop("/books/older", "old/books", REVIEWS),
    _case("www.shop.com", "/booksellers", kind="not found"),
    _shop("/books/x", "new/regex", RATINGS),
    _shop("/books", "new/post", RATINGS, "POST", end_user="jason"),
    _shop("/books", "new/headers", RATINGS, end_user="jason"),
    _shop("/books?page=12", "new/query", RATINGS),
    _shop("/books?page=x", "old/books", REVIEWS),
    _shop("/same", "old/same", REVIEWS),
    # Hosts: those that listener and route share; of the closest listener alone.
    _case("other.com", "/books", kind="not found"),
    _case("img.shop.com", "/prefix", kind="not found"),
    _case("closed.shop.com", "/prefix", kind="not found"),
    # What rules do.
    _any("/prefix", "prefix", path="/new", cluster=PROD),
    _any("/prefix/a?b=c", "prefix", path="/new/a?b=c"),
    _any("/strip/a", "strip", path="/a", authority="in.side"),
    _any("/strip", "strip", path="/"),
    _any("/full/a?b=c", "full", path="/whole?b=c"),
    _any("/moved/a?b=c", "moved", "redirect", status=302, location="http://there.com/to/a?b=c"),
    _any("/moved", "moved", "redirect", status=302, location="http://there.com/to"),
    _any("/secure/a", "secure", "redirect", status=301, location="https://any.com/secure/a"),
    _any("/edits", "edits", request_headers={"x-share": "100%"}, headers={"x_gone": "1"}),
    # Backends that are not there, or that nobody lets this namespace have.
    _any("/missing", "missing", "respond", status=500),
    _any("/forbidden", "forbidden", "respond", status=500),
    _any("/nothing", "nothing", "respond", status=500),
    _any("/granted", "granted", cluster=RATINGS),
    case("gateway api", "split: 24", Call("any.com", "/split", port=8080, point=24), kind="forward", cluster=PROD),
    case("gateway api", "split: 25", Call("any.com", "/split", port=8080, point=25), kind="forward", cluster=RATINGS),
    # Whose routes a listener takes, and which listeners there are.
    _case("any.com", "/uninvited", kind="not found"),
    _case("any.com", "/prefix", port=8082, kind="forward", route="prod/everything/prefix"),
    _case("www.shop.com", "/books", port=8082, kind="not found"),
    _case("any.com", "/prefix", port=8443, kind="no listener"),
    # gRPC calls are routes by path.
    _case("grpc.com", "/a.B/Get", "POST", kind="forward", route="prod/calls/one"),
    _case("grpc.com", "/a.B/List", "POST", kind="forward", route="prod/calls/service"),
    _case("grpc.com", "/c.D/Get", "POST", kind="forward", route="prod/calls/method"),
    _case("grpc.com", "/c.D/List", "POST", kind="not found"),
    # In the mesh: for all by the service's own namespace, for its own by another one.
    case("gateway api: producer", "match", Call("ratings", "/v1/a"), kind="forward", cluster=REVIEWS),
    case("gateway api: producer", "no match", Call("ratings", "/v2"), kind="not found"),
    case("gateway api: consumer", "own", Call("ratings.default", "/v2"), kind="forward", cluster=PROD),
)
