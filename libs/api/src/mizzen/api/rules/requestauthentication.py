"""RequestAuthentication: issuers, keys, and where tokens are."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

from mizzen.api.problem import Path
from mizzen.api.resource import Metadata
from mizzen.api.rules import Finding, error, warning
from mizzen.api.rules.policy import check_scope
from mizzen.api.security import JWTRule, RequestAuthentication

_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "k")
"""Members of a JWK that only the issuer should know (RFC 7518, §6)."""
_OF_REQUESTS = frozenset({"host", "connection", "content-length", "transfer-encoding"})
"""Headers that say where a request goes and where it ends."""


def check(spec: RequestAuthentication, _metadata: Metadata) -> Iterator[Finding]:
    """All rules of a RequestAuthentication."""
    references = spec.target_refs or ((spec.target_ref,) if spec.target_ref else ())
    yield from check_scope(spec.selector, references, "targetRefs" if spec.target_refs else "targetRef")
    for index, rule in enumerate(spec.jwt_rules):
        yield from _check_rule(rule, ("jwtRules", index))


def _check_rule(rule: JWTRule, at: Path) -> Iterator[Finding]:
    if not rule.issuer and not rule.jwks_uri and not rule.jwks:
        yield error((*at, "issuer"), "is required where neither jwksUri nor jwks says which keys are good")
    if rule.jwks_uri:
        yield from _check_uri(rule.jwks_uri, (*at, "jwksUri"))
    if rule.jwks:
        yield from _check_keys(rule.jwks, (*at, "jwks"))
    for name in ("audiences", "from_params", "from_cookies", "space_delimited_claims"):
        field = JWTRule.model_fields[name].alias or name
        for index, value in enumerate(getattr(rule, name)):
            if not value:
                yield error((*at, field, index), "must not be empty")
    for index, copy in enumerate(rule.output_claim_to_headers):
        if not copy.claim:
            yield error((*at, "outputClaimToHeaders", index, "claim"), "must not be empty")
        if copy.header.lower() in _OF_REQUESTS:
            yield error((*at, "outputClaimToHeaders", index, "header"), f"{copy.header} cannot tell of tokens")
    if rule.output_payload_to_header.lower() in _OF_REQUESTS:
        yield error((*at, "outputPayloadToHeader"), f"{rule.output_payload_to_header} cannot tell of tokens")


def _check_uri(uri: str, at: Path) -> Iterator[Finding]:
    try:
        parts = urlsplit(uri)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        yield error(at, f"{uri!r} is not a URL of the form https://host/path")
    elif parts.scheme == "http":
        yield warning(at, "is fetched without encryption: who can change the answer can sign tokens")


def _check_keys(text: str, at: Path) -> Iterator[Finding]:
    try:
        keys = json.loads(text)["keys"]
        kinds = [key["kty"] for key in keys]
    except (ValueError, KeyError, TypeError):
        yield error(at, 'is not a JSON Web Key Set: {"keys": [{"kty": ...}]}')
        return
    if not kinds:
        yield error(at, "has no keys")
    for index, key in enumerate(keys):
        if any(name in key for name in _PRIVATE):
            yield warning(at, f"key {index} has its private part in it: who can read this resource can sign tokens")
