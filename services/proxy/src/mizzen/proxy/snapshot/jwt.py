"""Envoy's JwtAuthentication to a plan. What cannot be evaluated is refused: tokens would pass unseen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mizzen.proxy.engine.edits import FRAMING
from mizzen.proxy.engine.jwt.plan import (
    CLOCK_SKEW,
    AllOf,
    AllowMissing,
    AllowMissingOrFailed,
    AnyOf,
    JwtPlan,
    ProviderPlan,
    Requirement,
    RequirementRule,
    TokenOf,
)
from mizzen.proxy.snapshot.matchers import NotEvaluable, route_match
from mizzen.proxy.snapshot.result import Invalid, Notes, at
from mizzen.proxy.snapshot.values import check_editable

_REFUSED = ("subjects", "max_lifetime", "remote_jwks")
"""Of a provider: each of them keeps tokens out, or is where the keys are."""
_PROVIDER = (
    "issuer",
    "audiences",
    "local_jwks",
    "forward",
    "from_headers",
    "from_params",
    "from_cookies",
    "forward_payload_header",
    "pad_forward_payload_header",
    "payload_in_metadata",
    "normalize_payload_in_metadata",
    "header_in_metadata",
    "clock_skew_seconds",
    "claim_to_headers",
    "clear_route_cache",  # a route is chosen after its tokens were looked at anyway
    "jwt_cache_config",  # what was verified is remembered anyway
)
_FILTER = ("providers", "rules", "requirement_map", "bypass_cors_preflight", "strip_failure_response")


def jwt_filter(message: Any, notes: Notes) -> JwtPlan:
    """The filter; raises Invalid."""
    if message.HasField("filter_state_rules"):
        raise Invalid("filter_state_rules", "is not supported")
    notes.check(message, _FILTER)
    providers = []
    for name in sorted(message.providers):
        with at(f"providers[{name}]"):
            providers.append(_provider(name, message.providers[name], notes))
    rules = []
    for index, rule in enumerate(message.rules):
        with at(f"rules[{index}]"):
            rules.append(_rule(rule, message.requirement_map, frozenset(message.providers)))
    return JwtPlan(tuple(providers), tuple(rules), message.bypass_cors_preflight, message.strip_failure_response)


def _provider(name: str, message: Any, notes: Notes) -> ProviderPlan:
    for field in _REFUSED:
        if message.HasField(field):
            raise Invalid(field, "is not supported")
    if message.require_expiration:
        raise Invalid("require_expiration", "is not supported")
    notes.check(message, _PROVIDER)
    for index, copy in enumerate(message.claim_to_headers):
        _check_written(copy.header_name, f"claim_to_headers[{index}].header_name")
    if message.forward_payload_header:
        _check_written(message.forward_payload_header, "forward_payload_header")
    return ProviderPlan(
        name=name,
        issuer=message.issuer,
        audiences=tuple(message.audiences),
        keys=_keys(message),
        headers=tuple((header.name, header.value_prefix) for header in message.from_headers),
        params=tuple(message.from_params),
        cookies=tuple(message.from_cookies),
        forward=message.forward,
        payload_header=message.forward_payload_header,
        pad_payload=message.pad_forward_payload_header,
        claim_headers=tuple((copy.header_name, copy.claim_name) for copy in message.claim_to_headers),
        payload_key=message.payload_in_metadata,
        header_key=message.header_in_metadata,
        spaced_claims=tuple(message.normalize_payload_in_metadata.space_delimited_claims),
        clock_skew=message.clock_skew_seconds or CLOCK_SKEW,
    )


def _check_written(name: str, field: str) -> None:
    """Such a header is taken from every request, and gets what a token says: no request may end where that says."""
    with at(field):
        check_editable(name)
    if name.lower() in FRAMING:
        raise Invalid(field, f"{name} says where a request ends, and cannot tell of tokens")


def _keys(message: Any) -> str:
    kind = message.local_jwks.WhichOneof("specifier")
    if kind == "inline_string":
        return str(message.local_jwks.inline_string)
    if kind == "inline_bytes":
        return bytes(message.local_jwks.inline_bytes).decode(errors="replace")
    raise Invalid(f"local_jwks.{kind or 'inline_string'}", "keys must be inline: inline_string or inline_bytes")


def _rule(message: Any, named: Mapping[str, Any], providers: frozenset[str]) -> RequirementRule:
    try:
        with at("match"):
            match = route_match(message.match)
    except NotEvaluable as condition:
        raise Invalid("match", f"{condition} is not supported, and without it tokens would pass unseen") from None
    kind = message.WhichOneof("requirement_type")
    if kind is None:
        return RequirementRule(match, None)
    if kind == "requirement_name":
        if message.requirement_name not in named:
            raise Invalid("requirement_name", f"{message.requirement_name!r} is not in requirement_map")
        with at("requirement_name"):
            return RequirementRule(match, _requirement(named[message.requirement_name], providers))
    with at("requires"):
        return RequirementRule(match, _requirement(message.requires, providers))


def _requirement(message: Any, providers: frozenset[str]) -> Requirement | None:
    """None: nothing is required."""
    kind = message.WhichOneof("requires_type")
    match kind:
        case None:
            return None
        case "provider_name":
            return TokenOf(_known(message.provider_name, providers))
        case "provider_and_audiences":
            stated = message.provider_and_audiences
            return TokenOf(_known(stated.provider_name, providers), tuple(stated.audiences) or None)
        case "requires_any" | "requires_all":
            with at(kind):
                members = _members(getattr(message, kind).requirements, providers)
            return AnyOf(members) if kind == "requires_any" else AllOf(members)
        case "allow_missing":
            return AllowMissing()
        case "allow_missing_or_failed":
            return AllowMissingOrFailed()
    raise Invalid(kind, "is not supported")


def _members(messages: Any, providers: frozenset[str]) -> tuple[Requirement, ...]:
    if not messages:
        raise Invalid("requirements", "is empty")
    found = []
    for index, each in enumerate(messages):
        with at(f"requirements[{index}]"):
            requirement = _requirement(each, providers)
            if requirement is None:
                raise Invalid("", "requires nothing")
            found.append(requirement)
    return tuple(found)


def _known(name: str, providers: frozenset[str]) -> str:
    if name not in providers:
        raise Invalid("provider_name", f"provider {name!r} is not configured")
    return name
