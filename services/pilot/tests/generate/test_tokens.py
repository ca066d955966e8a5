"""RequestAuthentication as Envoy's jwt_authn: providers, what is required, whose keys, and where the filter stands."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2 as jwt_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from google.protobuf import json_format

from mizzen.api.parse import parse
from mizzen.api.virtualservice import HTTPMatchRequest
from mizzen.pilot.base.keysource import KeySource
from mizzen.pilot.base.registry import RegistrySnapshot
from mizzen.pilot.generate.affects import affected_types
from mizzen.pilot.generate.match import claim_path, route_match
from mizzen.pilot.generate.tokens import NOBODYS_KEYS, token_filter
from mizzen.pilot.generate.typeurls import LISTENER
from mizzen.pilot.snapshot.build import build
from mizzen.pilot.snapshot.diff import difference
from mizzen.pilot.snapshot.keysources import sources_of

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: client, namespace: default}
spec: {ports: [{name: http, port: 80}], selector: {app: client}}
---
"""
JWKS = '{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"}]}'


def rules(*stated: str, name: str = "users", namespace: str = "default", scope: str = "") -> str:
    lines = "".join(f"  - {rule}\n" for rule in stated)
    return (
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n{scope}  jwtRules:\n{lines}---\n"
    )


def filter_of(text: str, keys: Any = None, *, clears_route: bool = False) -> dict[str, Any]:
    policies: Any = parse(text).resources
    (made,) = token_filter(policies, keys or {}, clears_route=clears_route)
    message = jwt_pb2.JwtAuthentication()
    hcm_pb2.HttpFilter.FromString(made).typed_config.Unpack(message)
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def test_one_rule_is_any_of_its_token_and_none() -> None:
    made = filter_of(rules(f"{{issuer: me, jwks: '{JWKS}'}}"))
    assert made == {
        "providers": {
            "origins-0": {
                "issuer": "me",
                "local_jwks": {"inline_string": JWKS},
                "payload_in_metadata": "payload",
                "normalize_payload_in_metadata": {"space_delimited_claims": ["permission", "scope"]},
            }
        },
        "rules": [
            {
                "match": {"prefix": "/"},
                "requires": {"requires_any": {"requirements": [{"provider_name": "origins-0"}, {"allow_missing": {}}]}},
            }
        ],
        "bypass_cors_preflight": True,
    }


def test_several_rules_are_sorted_by_issuer_and_any_of_their_tokens_will_do() -> None:
    made = filter_of(
        rules("{issuer: b, jwksUri: 'https://b/k'}") + rules("{issuer: a, jwksUri: 'https://a/k'}", name="x")
    )
    assert [made["providers"][f"origins-{index}"]["issuer"] for index in range(2)] == ["a", "b"]
    each = [
        {"requires_any": {"requirements": [{"provider_name": name}, {"allow_missing": {}}]}}
        for name in ("origins-0", "origins-1")
    ]
    assert made["rules"][0]["requires"]["requires_any"]["requirements"] == [
        {"provider_name": "origins-0"},
        {"provider_name": "origins-1"},
        {"requires_all": {"requirements": each}},
    ]


def test_all_fields_of_a_rule() -> None:
    rule = """{issuer: me, audiences: [a], jwksUri: "https://me/keys", forwardOriginalToken: true,
      fromHeaders: [{name: x-t, prefix: "T "}], fromParams: [t], fromCookies: [c], outputPayloadToHeader: x-p,
      outputClaimToHeaders: [{header: x-g, claim: a.b}], spaceDelimitedClaims: [roles]}"""
    keys = {KeySource("me", "https://me/keys"): JWKS}
    assert filter_of(rules(rule), keys, clears_route=True)["providers"]["origins-0"] == {
        "issuer": "me",
        "audiences": ["a"],
        "local_jwks": {"inline_string": JWKS},
        "forward": True,
        "from_headers": [{"name": "x-t", "value_prefix": "T "}],
        "from_params": ["t"],
        "from_cookies": ["c"],
        "forward_payload_header": "x-p",
        "claim_to_headers": [{"header_name": "x-g", "claim_name": "a.b"}],
        "payload_in_metadata": "payload",
        "normalize_payload_in_metadata": {"space_delimited_claims": ["permission", "roles", "scope"]},
        "clear_route_cache": True,
    }


def test_cve_2026_31837_until_keys_are_known_nobody_can_sign() -> None:
    made = filter_of(rules("{issuer: me, jwksUri: 'https://me/keys'}"))
    assert made["providers"]["origins-0"]["local_jwks"]["inline_string"] == NOBODYS_KEYS
    (key,) = json.loads(NOBODYS_KEYS)["keys"]
    digest = hashlib.sha256(b"mizzen: nobody has signed with this key (0)").digest()
    assert key["x"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("namespace", "scope", "expected"),
    [
        ("default", "", True),
        ("istio-system", "", True),
        ("other", "", False),
        ("default", "  selector: {matchLabels: {app: client}}\n", True),
        ("default", "  selector: {matchLabels: {app: other}}\n", False),
        ("istio-system", "  selector: {matchLabels: {app: client}}\n", True),
        ("default", "  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]\n", True),
        ("default", "  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: other}]\n", False),
    ],
)
def test_whom_a_policy_is_for(world: Any, sidecar: Any, namespace: str, scope: str, *, expected: bool) -> None:
    text = SERVICE + rules("{issuer: me, jwksUri: 'https://me/keys'}", namespace=namespace, scope=scope)
    filters = http_filters(
        world(text).listeners(sidecar(LABELS={"app": "client", "gateway.networking.k8s.io/gateway-name": "edge"}))[
            "virtualInbound"
        ]
    )
    assert ("envoy.filters.http.jwt_authn" in filters) is expected


def test_tokens_are_read_after_authorizers_were_asked_and_before_policies_decide(world: Any, router: Any) -> None:
    text = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: custom, namespace: istio-system}
spec: {action: CUSTOM, provider: {name: none}, rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: users, namespace: istio-system}
spec: {rules: [{from: [{source: {requestPrincipals: ["*"]}}]}]}
---
"""
    text += rules("{issuer: me, jwksUri: 'https://me/keys'}", namespace="istio-system")
    (listener,) = world(text).listeners(router()).values()
    names = [name.rpartition(".")[2] for name in http_filters(listener)]
    assert names == ["rbac", "jwt_authn", "rbac", "fault", "cors", "router"]


def http_filters(listener: Any) -> list[str]:
    for chain in listener.filter_chains:
        for item in chain.filters:
            manager = hcm_pb2.HttpConnectionManager()
            if item.typed_config.Unpack(manager):
                return [each.name for each in manager.http_filters]
    raise AssertionError("no HTTP here")


def test_sources_of_keys_and_how_long_they_are_waited_for() -> None:
    text = rules(
        "{issuer: a, jwksUri: 'https://a/k'}", "{issuer: a, jwksUri: 'https://a/k', timeout: 9s}", "{issuer: b}"
    )
    text += rules('{issuer: c, jwks: \'{"keys": [{"kty": "RSA"}]}\'}', "{issuer: d, timeout: 2h}", name="x")
    policies: Any = parse(text).resources
    assert sources_of(policies) == {
        KeySource("a", "https://a/k"): 9.0,
        KeySource("b", ""): 5.0,
        KeySource("d", ""): 60.0,
    }


def test_new_keys_concern_those_who_check_them_alone(world: Any, sidecar: Any) -> None:
    old = world(SERVICE + rules("{issuer: me, jwksUri: 'https://me/keys'}")).mesh
    (problem,) = [problem for problem in old.problems if "keys" in problem.message]
    assert problem.path == "spec.jwtRules[0].jwksUri"
    keys = {KeySource("me", "https://me/keys"): JWKS}
    new = build(old.resources.values(), RegistrySnapshot(), old, "2", keys=keys)
    assert [problem for problem in new.problems if "keys" in problem.message] == []
    change = difference(old, new)
    assert change.keys == set(keys)
    assert affected_types(change, sidecar(), old, new) == (LISTENER,)
    assert affected_types(change, sidecar(namespace="other"), old, new) == ()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("@request.auth.claims.a", ["a"]),
        ("@request.auth.claims.a.b", ["a", "b"]),
        ("@Request.auth.claims[a][b.c]", ["a", "b.c"]),
        ("@request.auth.claims", []),
        ("@request.auth.claims.", []),
        ("@request.auth.claims[]", []),
        ("@request.auth.claims[a", []),
        ("x-request", []),
    ],
)
def test_claims_in_place_of_headers(name: str, path: list[str]) -> None:
    assert claim_path(name) == path


def test_a_route_by_claim_matches_texts_and_members_of_lists() -> None:
    request = HTTPMatchRequest.model_validate(
        {
            "headers": {"@request.auth.claims.group": {"exact": "admin"}},
            "withoutHeaders": {"@request.auth.claims[a][b]": {"prefix": "x"}},
        }
    )
    first, second = json_format.MessageToDict(route_match(request), preserving_proto_field_name=True)[
        "dynamic_metadata"
    ]
    admin = {"string_match": {"exact": "admin"}}
    assert first == {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{"key": "payload"}, {"key": "group"}],
        "value": {"or_match": {"value_matchers": [{"list_match": {"one_of": admin}}, admin]}},
    }
    assert (second["path"][1:], second["invert"]) == ([{"key": "a"}, {"key": "b"}], True)
