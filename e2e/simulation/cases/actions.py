"""What a route does: rewrite, redirect, direct response, header operations, weights, subsets."""

from __future__ import annotations

from typing import Any

from simulation.cases.base import ROUTES_OF_REVIEWS, case, named_headers, outbound
from simulation.harness.call import Call, Case
from simulation.harness.world import World

YAML = (
    ROUTES_OF_REVIEWS
    + r"""  - name: rw-prefix
    match: [{uri: {prefix: /old/}}]
    rewrite: {uri: /new/}
    route: [&v1 {destination: {host: reviews, subset: v1}}]
  - {name: rw-strip, match: [{uri: {prefix: /strip}}], rewrite: {uri: /}, route: [*v1]}
  - {name: rw-exact, match: [{uri: {exact: /one}}], rewrite: {uri: /other}, route: [*v1]}
  - {name: rw-regex-match, match: [{uri: {regex: "/v[0-9]+/items"}}], rewrite: {uri: /items}, route: [*v1]}
  - {name: rw-authority, match: [{uri: {exact: /authority}}], rewrite: {authority: reviews.example.com}, route: [*v1]}
  - {name: rw-both, match: [{uri: {prefix: /both/}}], rewrite: {uri: /b/, authority: b.example.com}, route: [*v1]}
  - name: rw-regex
    match: [{uri: {prefix: /users/}}]
    rewrite: {uriRegexRewrite: {match: "^/users/([^/]+)/posts/([0-9]+)", rewrite: "/posts/\\2/by/\\1"}}
    route: [*v1]
  - {name: rd-uri, match: [{uri: {exact: /rd/uri}}], redirect: {uri: /elsewhere}}
  - {name: rd-uri-query, match: [{uri: {exact: /rd/uri-query}}], redirect: {uri: "/elsewhere?fixed=1"}}
  - {name: rd-prefix, match: [{uri: {prefix: /rd/prefix/}}], redirect: {prefixRewrite: /p/, redirectCode: 308}}
  - {name: rd-authority, match: [{uri: {prefix: /rd/authority}}], redirect: {authority: other.example.com}}
  - {name: rd-authority-port, match: [{uri: {prefix: /rd/with-port}}], redirect: {authority: "other.example.com:8443"}}
  - {name: rd-scheme, match: [{uri: {prefix: /rd/scheme}}], redirect: {scheme: https, redirectCode: 302}}
  - {name: rd-port, match: [{uri: {prefix: /rd/port}}], redirect: {port: 8081, redirectCode: 307}}
  - {name: rd-port-80, match: [{uri: {prefix: /rd/80}}], redirect: {port: 80}}
  - {name: rd-derived, match: [{uri: {prefix: /rd/derived}}], redirect: {derivePort: FROM_REQUEST_PORT}}
  - name: rd-all
    match: [{uri: {prefix: /rd/all}}]
    redirect: {uri: /x, authority: other.example.com, scheme: https, port: 8443, redirectCode: 303}
  - {name: dr-string, match: [{uri: {exact: /direct}}], directResponse: {status: 503, body: {string: "sorry"}}}
  - {name: dr-bytes, match: [{uri: {exact: /bytes}}], directResponse: {status: 200, body: {bytes: aGVsbG8=}}}
  - {name: dr-empty, match: [{uri: {exact: /empty}}], directResponse: {status: 204}}
  - name: dr-headers
    match: [{uri: {exact: /direct-headers}}]
    directResponse: {status: 200, body: {string: "{}"}}
    headers: {response: {set: {x-kind: direct}}}
  - name: headers
    match: [{uri: {exact: /headers}}]
    headers:
      request: {set: {x-set: route}, add: {x-add: route}, remove: [x-gone]}
      response: {set: {x-set: route}, add: {x-add: route}, remove: [x-powered-by]}
    route:
    - destination: {host: reviews, subset: v1}
  - name: headers-destination
    match: [{uri: {exact: /headers-destination}}]
    headers:
      request: {add: {x-add: route}}
      response: {add: {x-add: route}}
    route:
    - destination: {host: reviews, subset: v1}
      weight: 50
      headers:
        request: {set: {x-set: v1}, add: {x-add: v1}, remove: [x-gone]}
        response: {set: {x-set: v1}, add: {x-add: v1}}
    - destination: {host: reviews, subset: v2}
      weight: 50
  - name: headers-host
    match: [{uri: {exact: /headers-host}}]
    headers: {request: {set: {Host: set.example.com}}}
    route: [*v1]
  - name: split
    match: [{uri: {prefix: /split}}]
    route:
    - {destination: {host: reviews, subset: v1}, weight: 80}
    - {destination: {host: reviews, subset: v2}, weight: 0}
    - {destination: {host: reviews, subset: v3}, weight: 20}
  - name: split-three
    match: [{uri: {prefix: /three}}]
    route:
    - {destination: {host: reviews, subset: v1}, weight: 29}
    - {destination: {host: ratings}, weight: 1}
    - {destination: {host: reviews.prod.svc.cluster.local}, weight: 70}
  - {name: no-subset, match: [{uri: {exact: /no-subset}}], route: [{destination: {host: reviews}}]}
  - name: other-service
    match: [{uri: {exact: /ratings}}]
    route: [{destination: {host: ratings, port: {number: 9080}}}]
  - name: timeout
    timeout: 3s
    retries: {attempts: 3, perTryTimeout: 1s, retryOn: "5xx"}
    route: [{destination: {host: reviews, subset: v2}}]
"""
)

WORLDS = (World("actions", YAML),)


def _forward(
    name: str, path: str, /, *, headers: dict[str, str] | None = None, point: int = 0, **expected: Any
) -> Case:
    return case("actions", name, Call("reviews", path, headers=headers or {}, point=point), kind="forward", **expected)


def _redirect(name: str, path: str, status: int, location: str, host: str = "reviews", **headers: str) -> Case:
    call = Call(host, path, headers=named_headers(**headers))
    return case("actions", name, call, kind="redirect", status=status, location=location)


def _respond(name: str, path: str, status: int, body: str, **expected: Any) -> Case:
    return case("actions", name, Call("reviews", path), kind="respond", status=status, body=body, **expected)


def _split(path: str, point: int, cluster: str) -> Case:
    return _forward(f"{path} at {point} %", path, point=point, cluster=cluster)


V1, V2, V3 = (outbound("reviews", version) for version in ("v1", "v2", "v3"))

CASES = (
    _forward("rewrite of a prefix", "/old/a?q=/old/", path="/new/a?q=/old/"),
    _forward("rewrite of a prefix to /", "/strip/a", path="//a"),
    _forward("rewrite of a bare prefix to /", "/strip", path="/"),
    _forward("rewrite of an exact path", "/one?q=1", path="/other?q=1"),
    _forward("rewrite of a path matched by regex", "/v2/items?q=1", path="/items?q=1"),
    _forward("rewrite of the authority", "/authority", authority="reviews.example.com", path="/authority"),
    _forward("rewrite of both", "/both/x", authority="b.example.com", path="/b/x"),
    _forward("rewrite by regex", "/users/anna/posts/7?x=1", path="/posts/7/by/anna?x=1"),
    _forward("rewrite by regex that does not match", "/users/anna", path="/users/anna"),
    _redirect("redirect to a path", "/rd/uri", 301, "http://reviews/elsewhere"),
    _redirect("redirect to a path keeps the query", "/rd/uri?a=b", 301, "http://reviews/elsewhere?a=b"),
    _redirect("redirect to a path with a query", "/rd/uri-query?a=b", 301, "http://reviews/elsewhere?fixed=1"),
    _redirect("redirect keeps the port", "/rd/uri", 301, "http://reviews:9080/elsewhere", host="reviews:9080"),
    _redirect("redirect of a prefix", "/rd/prefix/a?b=c", 308, "http://reviews/p/a?b=c"),
    _redirect("redirect to a host", "/rd/authority/a?b", 301, "http://other.example.com/rd/authority/a?b"),
    _redirect("a new host has no port", "/rd/authority", 301, "http://other.example.com/rd/authority", "reviews:9080"),
    _redirect("redirect to a host and port", "/rd/with-port", 301, "http://other.example.com:8443/rd/with-port"),
    _redirect("redirect to a scheme", "/rd/scheme", 302, "https://reviews/rd/scheme"),
    _redirect("a new scheme drops the old one's port", "/rd/scheme", 302, "https://reviews/rd/scheme", "reviews:80"),
    _redirect("a new scheme keeps another port", "/rd/scheme", 302, "https://reviews:9080/rd/scheme", "reviews:9080"),
    _redirect("redirect to a port", "/rd/port", 307, "http://reviews:8081/rd/port", "reviews:9080"),
    # Pilot leaves out a scheme's own port, and Envoy then keeps the request's.
    _redirect("redirect to port 80", "/rd/80", 301, "http://reviews/rd/80"),
    _redirect("redirect to port 80 from another one", "/rd/80", 301, "http://reviews:9080/rd/80", "reviews:9080"),
    _redirect("redirect to the listener's port", "/rd/derived", 301, "http://reviews:9080/rd/derived"),
    _redirect("redirect of everything", "/rd/all", 303, "https://other.example.com:8443/x"),
    _redirect("https stays https", "/rd/uri", 301, "https://reviews/elsewhere", x_forwarded_proto="https"),
    _respond("direct response", "/direct", 503, "sorry", route="dr-string"),
    _respond("direct response of bytes", "/bytes", 200, "hello"),
    _respond("direct response without a body", "/empty", 204, ""),
    _respond("direct response with headers", "/direct-headers", 200, "{}", response_headers={"x-kind": "direct"}),
    _forward(
        "header operations of the route",
        "/headers",
        headers={"x-set": "client", "x-add": "client", "x-gone": "client", "x-kept": "client"},
        request_headers={"x-set": "route", "x-add": "client,route", "x-gone": None, "x-kept": "client"},
        response_headers={"x-set": "route", "x-add": "route", "x-upstream": "echo", "x-powered-by": None},
    ),
    _forward(
        "header operations of the destination, then the route's",
        "/headers-destination",
        headers={"x-gone": "client"},
        cluster=V1,
        request_headers={"x-set": "v1", "x-add": "v1,route", "x-gone": None},
        response_headers={"x-set": "v1", "x-add": "v1,route"},
    ),
    _forward(
        "header operations of another destination",
        "/headers-destination",
        headers={"x-gone": "client"},
        point=50,
        cluster=V2,
        request_headers={"x-gone": "client", "x-add": "route"},
    ),
    _forward("a set Host is a rewrite", "/headers-host", authority="set.example.com"),
    _split("/split", 0, V1),
    _split("/split", 79, V1),
    _split("/split", 80, V3),
    _split("/split", 99, V3),
    _split("/three", 28, V1),
    _split("/three", 29, outbound("ratings")),
    _split("/three", 30, outbound("reviews", namespace="prod")),
    _forward("no subset", "/no-subset", cluster=outbound("reviews")),
    _forward("another service", "/ratings", cluster=outbound("ratings"), authority="reviews"),
    _forward("timeouts and retries change no decision", "/", cluster=V2, route="timeout", path="/"),
)
