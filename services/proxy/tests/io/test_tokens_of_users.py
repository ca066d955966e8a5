"""Requests with tokens through the connection: what clients are answered, and what endpoints see."""

from __future__ import annotations

from typing import Any

from playbook import (
    World,
    client_gets,
    client_is,
    client_sends,
    connects,
    endpoint_gets,
    endpoint_sends,
    mesh,
    no_connect,
    play,
)
from token_support import ME, NOW, plan, provider, token

from mizzen.proxy.engine.match_plan import MetadataMatch, PathMatch, RouteMatch, StringMatch, ValueMatch
from mizzen.proxy.engine.plan import Respond, RoutePlan
from mizzen.proxy.engine.rbac_plan import AllOf, Anything, Metadata, PolicyPlan, RbacPlan

GOOD = token(exp=NOW * 2)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
NO_ALGORITHM = "Jwt header [alg] field is required and must be a string"
FILTER = "envoy.filters.http.jwt_authn"
TOLD = plan(provider(claim_headers=(("x-user", "sub"),)), bypass_cors_preflight=True)


def get(*lines: str, path: str = "/") -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: shop.com", *lines, "", "")).encode()


def bearer(text: str) -> str:
    return f"Authorization: Bearer {text}"


def claim(name: str, value: str) -> MetadataMatch:
    return MetadataMatch(FILTER, ("payload", name), (ValueMatch(StringMatch("exact", value)),))


def test_a_bad_token_is_answered_with_401_and_the_connection_goes_on() -> None:
    play(
        mesh(http={"guards": (TOLD,)}),
        client_sends(get(bearer("e30.e30.AA"), path="/a?b")),
        no_connect(),
        client_gets(
            "HTTP/1.1 401 Unauthorized",
            {
                "www-authenticate": 'Bearer realm="http://shop.com/a?b", error="invalid_token"',
                "content-type": "text/plain",
                "x-mesh-reason": f"- the token of the request is not accepted: {NO_ALGORITHM}",
            },
            NO_ALGORITHM.encode(),
        ),
        client_is(closed=False),
        client_sends(get()),
        connects("10.0.0.1:80"),
        endpoint_gets("GET / HTTP/1.1"),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK"),
    )


def test_the_endpoint_sees_who_it_is_and_not_the_token() -> None:
    play(
        mesh(http={"guards": (TOLD,)}),
        client_sends(get(bearer(GOOD), "x-user: root", path="/?a=b")),
        connects("10.0.0.1:80"),
        endpoint_gets("GET /?a=b HTTP/1.1", {"x-user": "anna", "Authorization": None}),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK"),
        client_sends(get("x-user: root", path=f"/?access_token={GOOD}")),
        endpoint_gets("GET / HTTP/1.1", {"x-user": "anna"}),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK"),
        client_sends(get("x-user: root")),
        endpoint_gets("GET / HTTP/1.1", {"x-user": None}),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK"),
    )


def test_policies_decide_by_claims() -> None:
    allowed = PolicyPlan("p", AllOf((Anything(), Metadata(claim("iss", ME)))))
    world = play(
        mesh(http={"guards": (TOLD, RbacPlan("ALLOW", (allowed,)))}),
        client_sends(get()),
        no_connect(),
        client_gets("HTTP/1.1 403 Forbidden", {}, b"RBAC: access denied"),
        client_sends(get(bearer(GOOD))),
        connects("10.0.0.1:80"),
        endpoint_gets("GET / HTTP/1.1"),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK"),
        client_sends(get(bearer("x"))),
        client_gets("HTTP/1.1 401 Unauthorized", {}, None),
    )
    counters = world.runtime.stats(1).counters
    found = [counters["http", "http", name] for name in ("jwt_authn.allowed", "jwt_authn.denied", "rbac.denied")]
    assert found == [2, 1, 1]


def test_routes_are_chosen_by_claims() -> None:
    admins = RoutePlan(
        "admins", RouteMatch(PathMatch("prefix", "/"), metadata=(claim("group", "admin"),)), Respond(204)
    )
    play(
        mesh(http={"guards": (TOLD,)}, routes=(admins,)),
        client_sends(get(bearer(token(exp=NOW * 2, group=["x", "admin"])))),
        connects("10.0.0.1:80"),  # a list is another condition
        endpoint_gets("GET / HTTP/1.1"),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK"),
        client_sends(get(bearer(token(exp=NOW * 2, group="admin")))),
        client_gets("HTTP/1.1 204 No Content"),
    )


def test_nothing_of_a_token_is_left_for_the_next_request() -> None:
    def claims(world: World) -> list[Any]:
        return [exchange.findings for exchange in seen]

    seen: list[Any] = []
    world = World(mesh(http={"guards": (TOLD,)}))
    for lines in ((bearer(GOOD),), ()):
        client = world.client("c")
        client.receive(get(*lines))
        seen.append(client.protocol.current)
        endpoint = world.accept("10.0.0.1:80") if not world.endpoints else world.endpoints[-1]
        endpoint.receive(OK)
    first, second = claims(world)
    assert first[FILTER]["payload"]["sub"] == "anna"
    assert second == {}
