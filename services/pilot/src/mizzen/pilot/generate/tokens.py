"""RequestAuthentications as Envoy's filter jwt_authn, in the shape that Istio gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2 as jwt_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from google.protobuf import empty_pb2

from mizzen.api.resource import Resource
from mizzen.api.security import JWTRule, RequestAuthentication
from mizzen.pilot.base.keysource import KeySource
from mizzen.pilot.generate.protos import pack
from mizzen.pilot.snapshot.keysources import source_of

FILTER: Final = "envoy.filters.http.jwt_authn"
"""Also the namespace of what the filter finds out."""
PAYLOAD: Final = "payload"
"""Under which the claims lie there."""
NOBODYS_KEYS: Final = (
    '{"keys":[{"kty":"EC","crv":"P-256",'
    '"x":"eFP8pG82UrF2mkE2LRjdrj1I6Bd8qi7WvsmRKU3HmeQ","y":"IXacPyqZBzCePT1Clu5aLocQIG9YetSo5ETAL-baPV0"}]}'
)
"""Stands for keys that are not known (yet), and so lets tokens be refused, as Istio does with a key of its own.

x is the SHA-256 of `mizzen: nobody has signed with this key (0)`: nobody knows what belongs to it.
"""
_SPACED: Final = ("permission", "scope")
"""Claims that always are lists of words."""

Policies = Sequence[Resource[RequestAuthentication]]


def token_filter(policies: Policies, keys: Mapping[KeySource, str], *, clears_route: bool) -> tuple[bytes, ...]:
    """The filter, serialized; none without rules. A gateway chooses routes by claims: there it clears the route."""
    rules = sorted((rule for policy in policies for rule in policy.spec.jwt_rules), key=lambda rule: rule.issuer)
    if not rules:
        return ()
    message = jwt_pb2.JwtAuthentication(bypass_cors_preflight=True)
    names = [f"origins-{index}" for index in range(len(rules))]
    for name, rule in zip(names, rules, strict=True):
        message.providers[name].CopyFrom(_provider(rule, keys, clears_route=clears_route))
    message.rules.add(match=route_components_pb2.RouteMatch(prefix="/"), requires=_requirement(names))
    made = hcm_pb2.HttpFilter(name=FILTER, typed_config=pack(message))
    return (made.SerializeToString(deterministic=True),)


def _requirement(names: Sequence[str]) -> Any:
    """A good token of any rule; or, for each rule, none or a good one."""
    each = [_any_of([_token_of(name), jwt_pb2.JwtRequirement(allow_missing=empty_pb2.Empty())]) for name in names]
    if len(each) == 1:
        return each[0]
    together = jwt_pb2.JwtRequirement(requires_all=jwt_pb2.JwtRequirementAndList(requirements=each))
    return _any_of([*map(_token_of, names), together])


def _any_of(requirements: Sequence[Any]) -> Any:
    return jwt_pb2.JwtRequirement(requires_any=jwt_pb2.JwtRequirementOrList(requirements=requirements))


def _token_of(name: str) -> Any:
    return jwt_pb2.JwtRequirement(provider_name=name)


def _provider(rule: JWTRule, keys: Mapping[KeySource, str], *, clears_route: bool) -> Any:
    inline = rule.jwks or keys.get(source_of(rule), NOBODYS_KEYS)
    return jwt_pb2.JwtProvider(
        issuer=rule.issuer,
        audiences=rule.audiences,
        local_jwks=base_pb2.DataSource(inline_string=inline),
        forward=bool(rule.forward_original_token),
        from_headers=[jwt_pb2.JwtHeader(name=each.name, value_prefix=each.prefix) for each in rule.from_headers],
        from_params=rule.from_params,
        from_cookies=rule.from_cookies,
        forward_payload_header=rule.output_payload_to_header,
        claim_to_headers=[
            jwt_pb2.JwtClaimToHeader(header_name=each.header, claim_name=each.claim)
            for each in rule.output_claim_to_headers
        ],
        payload_in_metadata=PAYLOAD,
        normalize_payload_in_metadata=jwt_pb2.JwtProvider.NormalizePayload(
            space_delimited_claims=sorted({*_SPACED, *rule.space_delimited_claims})
        ),
        clear_route_cache=clears_route,
    )
