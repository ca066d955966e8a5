"""Delegated routes: how root and delegate become one, and what cannot be used."""

from typing import Any

ROOT = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: root, namespace: web}}
spec:
  hosts: [shop.example.com]
  http:
  - name: r
    timeout: 5s
    headers: {{request: {{set: {{x: root}}}}}}
    match: {match}
    delegate: {{name: part, namespace: team}}
  - name: rest
    route: [{{destination: {{host: fallback}}}}]
"""
PART = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: part, namespace: team}}
spec:
  {extra}
  http:
  - name: d
    match: {match}
    timeout: 1s
    route: [{{destination: {{host: cart}}}}]
"""


def part(match: str = "[{uri: {prefix: /shop/cart}}]", extra: str = "exportTo: ['*']") -> str:
    return PART.format(match=match, extra=extra)


def root(match: str = "[{uri: {prefix: /shop}}]") -> str:
    return ROOT.format(match=match)


def test_fields_of_the_delegate_win_and_the_rest_comes_from_the_root(world: Any) -> None:
    (routing,) = world(root(), part()).mesh.routings
    route, rest = routing.http
    assert route.name == "r-d"
    assert route.timeout.total_seconds() == 1
    assert route.headers.request.set == {"x": "root"}
    assert route.match[0].uri.prefix == "/shop/cart"
    assert rest.name == "rest"


def test_destinations_are_names_of_the_namespace_they_are_written_in(world: Any) -> None:
    (routing,) = world(root(), part()).mesh.routings
    assert list(routing.destinations()) == ["cart.team.svc.cluster.local", "fallback.web.svc.cluster.local"]


def test_conditions_are_combined(world: Any) -> None:
    (routing,) = world(
        root("[{uri: {prefix: /shop}, headers: {a: {exact: '1'}}}, {method: {exact: POST}}]"),
        part("[{headers: {b: {exact: '2'}}}]"),
    ).mesh.routings
    first, second = routing.http[0].match
    assert (first.uri.prefix, sorted(first.headers)) == ("/shop", ["a", "b"])
    assert (second.method.exact, sorted(second.headers)) == ("POST", ["b"])


def test_contradictions_leave_the_route_out(world: Any) -> None:
    for below in ("[{uri: {prefix: /other}}]", "[{uri: {regex: '/shop/.*'}}]", "[{uri: {exact: /x}}]"):
        made = world(root(), part(below))
        assert [route.name for route in made.mesh.routings[0].http] == ["rest"]
        assert "conflicts with spec.http[0] of VirtualService team/part" in made.problems[0]


def test_unusable_delegates_are_problems(world: Any) -> None:
    cases = [
        ((root(),), "VirtualService team/part does not exist"),
        ((root(), part(extra="hosts: [a.example.com]")), "has hosts of its own"),
        ((root(), part(extra="exportTo: ['.']")), "not exported to namespace web"),
    ]
    for texts, expected in cases:
        made = world(*texts)
        assert expected in made.problems[0]
        assert "spec.http[0].delegate" in made.problems[0]
        kept = next(routing for routing in made.mesh.routings if routing.name == "root")
        assert [route.name for route in kept.http] == ["rest"]
