"""The conditions of HTTPMatchRequest. The name of the route that took the request tells which of them held."""

from __future__ import annotations

from simulation.cases.base import ROUTES_OF_REVIEWS, case, named_headers
from simulation.harness.call import Call, Case
from simulation.harness.world import World

YAML = (
    ROUTES_OF_REVIEWS
    + r"""  - {name: exact, match: [{uri: {exact: /exact}}], route: [&v1 {destination: {host: reviews, subset: v1}}]}
  - {name: exact-any-case, match: [{uri: {exact: /ExactCase}, ignoreUriCase: true}], route: [*v1]}
  - {name: prefix, match: [{uri: {prefix: /prefix}}], route: [*v1]}
  - {name: prefix-any-case, match: [{uri: {prefix: /Any/}, ignoreUriCase: true}], route: [*v1]}
  - {name: regex, match: [{uri: {regex: "/items/[0-9]+"}}], route: [*v1]}
  - {name: method, match: [{uri: {prefix: /method}, method: {exact: DELETE}}], route: [*v1]}
  - {name: method-regex, match: [{uri: {prefix: /method}, method: {regex: "PUT|PATCH"}}], route: [*v1]}
  - {name: authority, match: [{uri: {prefix: /authority}, authority: {prefix: reviews.default}}], route: [*v1]}
  - {name: authority-regex, match: [{uri: {prefix: /authority}, authority: {regex: ".*:9080"}}], route: [*v1]}
  - {name: scheme, match: [{uri: {prefix: /scheme}, scheme: {exact: https}}], route: [*v1]}
  - {name: header-exact, match: [{uri: {exact: /header}, headers: {end-user: {exact: jason}}}], route: [*v1]}
  - {name: header-prefix, match: [{uri: {exact: /header}, headers: {end-user: {prefix: ja}}}], route: [*v1]}
  - {name: header-regex, match: [{uri: {exact: /header}, headers: {end-user: {regex: "[0-9]{3}"}}}], route: [*v1]}
  - {name: header-present, match: [{uri: {exact: /header}, headers: {x-canary: {}}}], route: [*v1]}
  - {name: header-two, match: [{uri: {exact: /header}, headers: {a: {exact: "1"}, b: {exact: "2"}}}], route: [*v1]}
  - {name: without, match: [{uri: {exact: /without}, withoutHeaders: {x-skip: {exact: "yes"}}}], route: [*v1]}
  - {name: without-any, match: [{uri: {exact: /without-any}, withoutHeaders: {x-skip: {}}}], route: [*v1]}
  - name: without-prefix
    match: [{uri: {exact: /without-prefix}, withoutHeaders: {x-skip: {prefix: "y"}}}]
    route: [*v1]
  - {name: query-exact, match: [{uri: {exact: /query}, queryParams: {v: {exact: "2"}}}], route: [*v1]}
  - {name: query-prefix, match: [{uri: {exact: /query}, queryParams: {v: {prefix: "beta-"}}}], route: [*v1]}
  - {name: query-regex, match: [{uri: {exact: /query}, queryParams: {v: {regex: "[a-c]+"}}}], route: [*v1]}
  - {name: query-present, match: [{uri: {exact: /query}, queryParams: {debug: {}}}], route: [*v1]}
  - name: either
    match:
    - {name: first, uri: {exact: /either/1}}
    - {name: second, uri: {exact: /either/2}}
    route: [*v1]
  - {name: own-labels, match: [{uri: {exact: /labels}, sourceLabels: {app: client}}], route: [*v1]}
  - {name: other-labels, match: [{uri: {exact: /labels-2}, sourceLabels: {app: client, version: v9}}], route: [*v1]}
  - {name: own-namespace, match: [{uri: {exact: /namespace}, sourceNamespace: default}], route: [*v1]}
  - {name: other-namespace, match: [{uri: {exact: /namespace-2}, sourceNamespace: prod}], route: [*v1]}
  - {name: mesh, match: [{uri: {exact: /mesh}, gateways: [mesh]}], route: [*v1]}
  - {name: edge, match: [{uri: {exact: /edge}, gateways: [edge]}], route: [*v1]}
  - {name: port, match: [{uri: {exact: /port}, port: 9080}], route: [*v1]}
  - {name: other-port, match: [{uri: {exact: /port-2}, port: 80}], route: [*v1]}
  - name: rest
    route: [{destination: {host: reviews, subset: v3}}]
  - name: never
    match: [{uri: {exact: /never}}]
    route: [*v1]
"""
)

WORLDS = (World("matching", YAML),)

FQDN = "reviews.default.svc.cluster.local"


def _route(name: str, route: str, path: str, host: str = "reviews", method: str = "GET", **headers: str) -> Case:
    return case("matching", name, Call(host, path, method, named_headers(**headers)), kind="forward", route=route)


CASES = (
    _route("exact", "exact", "/exact"),
    _route("exact ignores the query", "exact", "/exact?a=b"),
    _route("exact is the whole path", "rest", "/exact/"),
    _route("exact minds the case", "rest", "/EXACT"),
    _route("ignoreUriCase of an exact path", "exact-any-case", "/exactcase"),
    _route("prefix", "prefix", "/prefix/a"),
    _route("a prefix is a string, not a segment (pitfall 2)", "prefix", "/prefixed"),
    _route("a prefix sees the path only from its start", "rest", "/a/prefix"),
    _route("ignoreUriCase of a prefix", "prefix-any-case", "/aNY/x"),
    _route("regex", "regex", "/items/42"),
    _route("regex ignores the query", "regex", "/items/42?x=/y"),
    _route("regex matches the whole path", "rest", "/items/42/parts"),
    _route("method", "method", "/method", method="DELETE"),
    _route("method by regex", "method-regex", "/method", method="PATCH"),
    _route("no such method", "rest", "/method"),
    _route("authority by prefix", "authority", "/authority", host=FQDN),
    _route("authority is what was sent, not what it resolves to", "rest", "/authority"),
    _route("authority has its port", "authority-regex", "/authority", host="reviews:9080"),
    _route("scheme as x-forwarded-proto has it", "scheme", "/scheme", x_forwarded_proto="https"),
    _route("plain scheme", "rest", "/scheme"),
    _route("header exact", "header-exact", "/header", end_user="jason"),
    _route("header names have no case", "header-exact", "/header", **{"End-User": "jason"}),
    _route("header values have", "rest", "/header", end_user="Jason"),
    _route("header prefix", "header-prefix", "/header", end_user="jane"),
    _route("header regex", "header-regex", "/header", end_user="123"),
    _route("header regex is whole", "rest", "/header", end_user="1234"),
    _route("header present", "header-present", "/header", x_canary="whatever"),
    _route("header present and empty", "header-present", "/header", x_canary=""),
    _route("two headers", "header-two", "/header", a="1", b="2"),
    _route("one of two headers", "rest", "/header", a="1"),
    _route("withoutHeaders, header absent", "without", "/without"),
    _route("withoutHeaders, other value", "without", "/without", x_skip="no"),
    _route("withoutHeaders, that value", "rest", "/without", x_skip="yes"),
    _route("withoutHeaders presence, absent", "without-any", "/without-any"),
    _route("withoutHeaders presence, present", "rest", "/without-any", x_skip=""),
    _route("withoutHeaders prefix, absent", "without-prefix", "/without-prefix"),
    _route("withoutHeaders prefix, present", "rest", "/without-prefix", x_skip="yes"),
    _route("query exact", "query-exact", "/query?v=2"),
    _route("query exact among others", "query-exact", "/query?a=1&v=2&b"),
    _route("query prefix", "query-prefix", "/query?v=beta-7"),
    _route("query regex", "query-regex", "/query?v=abc"),
    _route("query regex is whole", "rest", "/query?v=abcd"),
    _route("query present", "query-present", "/query?debug"),
    _route("query present with a value", "query-present", "/query?debug=1"),
    _route("no query", "rest", "/query"),
    _route("matches are alternatives", "either.first", "/either/1"),
    _route("the second match", "either.second", "/either/2"),
    _route("sourceLabels of this workload", "own-labels", "/labels"),
    _route("sourceLabels of another one", "rest", "/labels-2"),
    _route("sourceNamespace of this workload", "own-namespace", "/namespace"),
    _route("sourceNamespace of another one", "rest", "/namespace-2"),
    _route("gateways: mesh", "mesh", "/mesh"),
    _route("gateways: another one", "rest", "/edge"),
    _route("port", "port", "/port"),
    _route("another port", "rest", "/port-2"),
    _route("nothing comes after a route without conditions", "rest", "/never"),
)
