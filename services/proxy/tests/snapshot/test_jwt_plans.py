"""Envoy's jwt_authn from message to plan, and what of it is refused."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2 as jwt_pb2
from google.protobuf import json_format

from mizzen.proxy.engine.jwt.plan import AllOf, AllowMissing, AllowMissingOrFailed, AnyOf, ProviderPlan, TokenOf
from mizzen.proxy.snapshot.jwt import jwt_filter
from mizzen.proxy.snapshot.result import Invalid, Notes

KEYS = {"inline_string": "{}"}


def message(requires: Any = None, provider: Any = None, match: Any = None, **fields: Any) -> Any:
    rule = {"match": match or {"prefix": "/"}} | ({"requires": requires} if requires else {})
    stated = {"providers": {"p": {"local_jwks": KEYS} | (provider or {})}, "rules": [rule]} | fields
    return json_format.ParseDict(stated, jwt_pb2.JwtAuthentication())


def test_a_whole_provider() -> None:
    stated = {
        "issuer": "me",
        "audiences": ["a"],
        "forward": True,
        "from_headers": [{"name": "x-t", "value_prefix": "T "}],
        "from_params": ["t"],
        "from_cookies": ["c"],
        "forward_payload_header": "x-p",
        "pad_forward_payload_header": True,
        "payload_in_metadata": "payload",
        "header_in_metadata": "header",
        "normalize_payload_in_metadata": {"space_delimited_claims": ["scope"]},
        "claim_to_headers": [{"header_name": "x-u", "claim_name": "sub"}],
        "clock_skew_seconds": 5,
        "clear_route_cache": True,
    }
    notes = Notes()
    plan = jwt_filter(message(provider=stated, bypass_cors_preflight=True), notes)
    assert plan.providers == (
        ProviderPlan(
            name="p",
            issuer="me",
            audiences=("a",),
            keys="{}",
            headers=(("x-t", "T "),),
            params=("t",),
            cookies=("c",),
            forward=True,
            payload_header="x-p",
            pad_payload=True,
            claim_headers=(("x-u", "sub"),),
            payload_key="payload",
            header_key="header",
            spaced_claims=("scope",),
            clock_skew=5,
        ),
    )
    assert plan.bypass_cors_preflight
    assert notes.unsupported == ()


@pytest.mark.parametrize(
    ("stated", "requirement"),
    [
        ({"provider_name": "p"}, TokenOf("p")),
        ({"provider_and_audiences": {"provider_name": "p", "audiences": ["a"]}}, TokenOf("p", ("a",))),
        ({"allow_missing": {}}, AllowMissing()),
        ({"allow_missing_or_failed": {}}, AllowMissingOrFailed()),
        (
            {"requires_any": {"requirements": [{"provider_name": "p"}, {"allow_missing": {}}]}},
            AnyOf((TokenOf("p"), AllowMissing())),
        ),
        ({"requires_all": {"requirements": [{"provider_name": "p"}]}}, AllOf((TokenOf("p"),))),
        (None, None),
    ],
)
def test_requirements(stated: Any, requirement: Any) -> None:
    (rule,) = jwt_filter(message(stated), Notes()).rules
    assert rule.requirement == requirement


def test_a_requirement_by_name() -> None:
    stated = message(
        requirement_map={"r": {"provider_name": "p"}}, rules=[{"match": {"prefix": "/"}, "requirement_name": "r"}]
    )
    assert jwt_filter(stated, Notes()).rules[0].requirement == TokenOf("p")


@pytest.mark.parametrize(
    ("stated", "path"),
    [
        (message({"provider_name": "q"}), "rules[0].requires.provider_name"),
        (
            message({"requires_any": {"requirements": [{"provider_name": "q"}]}}),
            "rules[0].requires.requires_any.requirements[0].provider_name",
        ),
        (message({"requires_any": {"requirements": [{}]}}), "rules[0].requires.requires_any.requirements[0]"),
        (message({"requires_any": {}}), "rules[0].requires.requires_any.requirements"),
        (message({"requires_all": {}}), "rules[0].requires.requires_all.requirements"),
        (message(rules=[{"match": {"prefix": "/"}, "requirement_name": "r"}]), "rules[0].requirement_name"),
        (message(match={"connect_matcher": {}}), "rules[0].match"),
        (message(provider={"local_jwks": {"filename": "/keys"}}), "providers[p].local_jwks.filename"),
        (message(provider={"local_jwks": {}}), "providers[p].local_jwks.inline_string"),
        (message(provider={"max_lifetime": "5s"}), "providers[p].max_lifetime"),
        (message(provider={"subjects": {"exact": "a"}}), "providers[p].subjects"),
        (message(provider={"require_expiration": True}), "providers[p].require_expiration"),
        (
            message(provider={"claim_to_headers": [{"header_name": "Content-Length", "claim_name": "n"}]}),
            "providers[p].claim_to_headers[0].header_name",
        ),
        (message(provider={"forward_payload_header": "host"}), "providers[p].forward_payload_header"),
        (message(filter_state_rules={"name": "x"}), "filter_state_rules"),
    ],
)
def test_what_would_let_tokens_pass_unseen_is_refused(stated: Any, path: str) -> None:
    with pytest.raises(Invalid) as caught:
        jwt_filter(stated, Notes())
    assert caught.value.path == path


def test_keys_that_the_proxy_should_fetch_are_refused() -> None:
    remote = {"remote_jwks": {"http_uri": {"uri": "https://a/k", "cluster": "a", "timeout": "1s"}}}
    stated = json_format.ParseDict({"providers": {"p": remote}}, jwt_pb2.JwtAuthentication())
    with pytest.raises(Invalid) as caught:
        jwt_filter(stated, Notes())
    assert caught.value.path == "providers[p].remote_jwks"


def test_what_has_no_effect_is_reported() -> None:
    notes = Notes()
    jwt_filter(message(provider={"failed_status_in_metadata": "x"}, stat_prefix="y"), notes)
    assert [note.field.rpartition(".")[2] for note in notes.unsupported] == ["stat_prefix", "failed_status_in_metadata"]
