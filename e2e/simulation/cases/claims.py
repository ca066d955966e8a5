"""What policies and routes make of the claims of tokens."""

from __future__ import annotations

import json
from typing import Any

from simulation.cases.base import outbound
from simulation.cases.tokens import ANNA, BERT, GOOD, ask, bearer, refused, rule, world
from simulation.harness.call import Case


def allowing(*rules: dict[str, Any]) -> str:
    policy = {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "users", "namespace": "istio-system"},
        "spec": {"rules": list(rules)},
    }
    return json.dumps(policy) + "\n---\n"


def to(path: str) -> list[Any]:
    return [{"operation": {"paths": [path]}}]


def source(path: str, **fields: Any) -> dict[str, Any]:
    return {"to": to(path), "from": [{"source": fields}]}


def when(path: str, key: str, **values: Any) -> dict[str, Any]:
    return {"to": to(path), "when": [{"key": key, **values}]}


POLICY = allowing(
    source("/any-user", requestPrincipals=["*"]),
    source("/anna", requestPrincipals=[f"{ANNA.name}/anna"]),
    source("/of-anna", requestPrincipals=[f"{ANNA.name}/*"]),
    source("/any-anna", requestPrincipals=["*/anna"]),
    source("/bare-issuer", requestPrincipals=[ANNA.name.replace("https://", "")]),
    source("/not-anna", notRequestPrincipals=[f"{ANNA.name}/anna"]),
    source("/not-any", notRequestPrincipals=["*"]),
    when("/principal", "request.auth.principal", values=[f"{ANNA.name}/anna"]),
    when("/audience", "request.auth.audiences", values=["shop", "other"]),
    when("/not-audience", "request.auth.audiences", notValues=["shop"]),
    when("/presenter", "request.auth.presenter", values=["app-*"]),
    when("/group", "request.auth.claims[group]", values=["admin"]),
    when("/group-suffix", "request.auth.claims[group]", values=["*min"]),
    when("/not-group", "request.auth.claims[group]", notValues=["admin"]),
    when("/nested", "request.auth.claims[realm][roles]", values=["dev"]),
    when("/number", "request.auth.claims[n]", values=["1"]),
    when("/scope", "request.auth.claims[scope]", values=["write"]),
    when("/whole-scope", "request.auth.claims[scope]", values=["read write"]),
    when("/any-group", "request.auth.claims[group]", values=["*"]),
)
WORLDS = (world("tokens for policies", rule(ANNA), rule(BERT), more=POLICY),)
USERS = {
    "nobody": {},
    "anna": bearer(GOOD),
    "anna, an admin": bearer(ANNA.token(group="admin", aud="shop", azp="app-1", scope="read write", n=1)),
    "anna, in lists": bearer(ANNA.token(group=["x", "admin"], aud=["a", "shop"], realm={"roles": ["ops", "dev"]})),
    "bert": bearer(BERT.token(sub="bert")),
    "bert, as anna": bearer(BERT.token(sub="anna", group="")),
    "no user of anna's": bearer(ANNA.token(sub=None)),
}
ALLOWED: dict[str, set[str]] = {
    "/any-user": set(USERS) - {"nobody", "no user of anna's"},
    "/anna": {"anna", "anna, an admin", "anna, in lists"},
    "/of-anna": {"anna", "anna, an admin", "anna, in lists"},
    "/any-anna": {"anna", "anna, an admin", "anna, in lists", "bert, as anna"},
    "/bare-issuer": set(),
    "/not-anna": {"nobody", "bert", "bert, as anna", "no user of anna's"},
    "/not-any": {"nobody", "no user of anna's"},
    "/principal": {"anna", "anna, an admin", "anna, in lists"},
    "/audience": {"anna, an admin", "anna, in lists"},
    "/not-audience": set(USERS) - {"anna, an admin", "anna, in lists"},
    "/presenter": {"anna, an admin"},
    "/group": {"anna, an admin", "anna, in lists"},
    "/group-suffix": {"anna, an admin", "anna, in lists"},
    "/not-group": set(USERS) - {"anna, an admin", "anna, in lists"},
    "/nested": {"anna, in lists"},
    "/number": set(),
    "/scope": {"anna, an admin"},
    "/whole-scope": set(),
    "/any-group": {"anna, an admin", "anna, in lists"},
}


def _policies() -> tuple[Case, ...]:
    denied = refused(403, "RBAC: access denied")
    return tuple(
        ask(
            "tokens for policies",
            f"{user} at {path}",
            headers,
            path,
            **({"kind": "forward"} if user in allowed else denied),
        )
        for path, allowed in ALLOWED.items()
        for user, headers in USERS.items()
    )


def _routes() -> tuple[Case, ...]:
    def to_route(name: str, headers: dict[str, str], route: str, cluster: str) -> Case:
        return ask("tokens", name, headers, "/claims", kind="forward", route=route, cluster=cluster)

    return (
        to_route("an admin", USERS["anna, an admin"], "by-group", outbound("reviews", "v1")),
        to_route("an admin among others", USERS["anna, in lists"], "by-group", outbound("reviews", "v1")),
        to_route(
            "a nested claim",
            bearer(ANNA.token(realm={"roles": ["ops", "developer"]})),
            "by-nested",
            outbound("reviews", "v2"),
        ),
        to_route("a word of a scope", bearer(ANNA.token(scope="read write")), "by-scope", outbound("ratings")),
        to_route("nobody", {}, "without-sub", outbound("reviews", "v3")),
        to_route("somebody", bearer(GOOD), "all", outbound("reviews")),
    )


CASES = (*_policies(), *_routes())
