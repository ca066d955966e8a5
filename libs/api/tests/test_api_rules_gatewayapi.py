"""The Gateway API's kinds: what is refused, and where. The kind Gateway is there twice."""

import pytest

from mizzen.api.dump import to_yaml
from mizzen.api.gateway import Gateway as IstioGateway
from mizzen.api.gatewayapi.gateway import Gateway
from mizzen.api.parse import parse

GATEWAY = "Gateway.gateway.networking.k8s.io"
HTTP = "{name: a, port: 80, protocol: HTTP}"
REPLACE = "{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}"
REPLACED = "ReplacePrefixMatch needs every match of this rule to be PathPrefix"


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("GatewayClass", "{controllerName: mizzen.io/gateway-controller}", []),
        (
            "GatewayClass",
            "{controllerName: mizzen}",
            ["spec.controllerName: must be a domain and a path, like example.com/name, got 'mizzen'"],
        ),
        (GATEWAY, "{gatewayClassName: mizzen, listeners: [{name: http, port: 80, protocol: HTTP}]}", []),
        (
            GATEWAY,
            f"{{gatewayClassName: m, listeners: [{HTTP}, {{name: a, port: 81, protocol: TLS}}]}}",
            [
                "spec.listeners[1].name: 'a' is the name of listeners[0]; names are unique",
                "spec.listeners[1].tls: is required for protocol TLS",
            ],
        ),
        (
            GATEWAY,
            f"{{gatewayClassName: m, listeners: [{HTTP}, {{name: b, port: 80, protocol: HTTP}}]}}",
            ["spec.listeners[1]: has the port, protocol and hostname of listeners[0]"],
        ),
        (
            GATEWAY,
            f"{{gatewayClassName: m, listeners: [{HTTP[:-1]}, allowedRoutes: {{namespaces: {{from: Selector}}}}}}]}}",
            ["spec.listeners[0].allowedRoutes.namespaces.selector: is required when from is Selector"],
        ),
        ("HTTPRoute", "{parentRefs: [{name: web}], rules: [{backendRefs: [{name: reviews, port: 9080}]}]}", []),
        (
            "HTTPRoute",
            "{rules: [{matches: [{path: {value: reviews}}], backendRefs: [{name: reviews}]}]}",
            [
                "spec.rules[0].matches[0].path.value: must begin with '/', got 'reviews'",
                "spec.rules[0].backendRefs[0].port: is required for a Service",
            ],
        ),
        (
            "HTTPRoute",
            "{rules: [{matches: [{path: {type: RegularExpression, value: '/(a'}}]}]}",
            ["spec.rules[0].matches[0].path.value: '/(a' is not an RE2 regex: missing ): /(a"],
        ),
        (
            "HTTPRoute",
            "{rules: [{filters: [{type: RequestRedirect, urlRewrite: {hostname: a.com}}]}]}",
            [
                "spec.rules[0].filters[0].requestRedirect: is required for type RequestRedirect",
                "spec.rules[0].filters[0].urlRewrite: does not go with type RequestRedirect",
            ],
        ),
        (
            "HTTPRoute",
            f"{{rules: [{{matches: [{{path: {{type: Exact, value: /a}}}}], filters: [{REPLACE}]}}]}}",
            [f"spec.rules[0].filters[0].urlRewrite.path: {REPLACED}"],
        ),
        (
            "HTTPRoute",
            "{rules: [{timeouts: {request: 1s, backendRequest: 2s}}]}",
            ["spec.rules[0].timeouts.backendRequest: must not be longer than request"],
        ),
        ("HTTPRoute", "{rules: [{matchs: []}]}", ['spec.rules[0].matchs: unknown field; did you mean "matches"?']),
        (
            "GRPCRoute",
            "{rules: [{matches: [{method: {}}]}]}",
            ["spec.rules[0].matches[0].method: needs at least one of service, method"],
        ),
        (
            "ReferenceGrant",
            "{from: [], to: [{group: '', kind: Service}]}",
            ["spec.from: needs at least one entry"],
        ),
    ],
)
def test_rules(problems_of, kind, spec, expected):
    assert problems_of(kind, spec) == expected


BOTH = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web}
spec: {servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web}
spec: {gatewayClassName: mizzen, listeners: [{name: http, port: 80, protocol: HTTP}]}
"""


def test_two_kinds_of_one_name_stand_beside_each_other():
    ours, theirs = parse(BOTH).resources
    assert isinstance(ours.spec, IstioGateway)
    assert isinstance(theirs.spec, Gateway)
    assert (ours.id, theirs.id) == ("Gateway default/web", "Gateway.gateway.networking.k8s.io default/web")
    assert parse(to_yaml([ours, theirs])).resources == (ours, theirs)


def test_a_version_that_nobody_serves():
    (problem,) = parse(BOTH.replace("networking.k8s.io/v1", "networking.k8s.io/v2")).problems
    assert problem.message == "Gateway is served as gateway.networking.k8s.io/v1, not as gateway.networking.k8s.io/v2"
