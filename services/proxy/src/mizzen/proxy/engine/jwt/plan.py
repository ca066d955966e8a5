"""Plans of the filter jwt_authn: whose tokens are good, where they are, and which of them a request must show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from mizzen.proxy.engine.match_plan import RouteMatch

FILTER: Final = "envoy.filters.http.jwt_authn"
"""By this name others find what it found out."""
CLOCK_SKEW = 60
"""Seconds by which the clocks of issuer and proxy may differ: Envoy's default."""


@dataclass(frozen=True, slots=True)
class ProviderPlan:
    """Tokens of one issuer."""

    name: str
    issuer: str = ""
    """Empty: of any."""
    audiences: tuple[str, ...] = ()
    """The token must be for one of them; empty: for anybody."""
    keys: str = ""
    """A JSON Web Key Set."""
    headers: tuple[tuple[str, str], ...] = ()
    """Where tokens are: (name, prefix of the value)."""
    params: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    forward: bool = False
    """The endpoint sees the token too."""
    payload_header: str = ""
    """Gets the payload as it was encoded; empty for none."""
    pad_payload: bool = False
    claim_headers: tuple[tuple[str, str], ...] = ()
    """(header, claim): what is copied, of a nested claim `a.b`."""
    payload_key: str = ""
    """Under which the payload is among the findings; empty: it is not."""
    header_key: str = ""
    """The same for the token's header."""
    spaced_claims: tuple[str, ...] = ()
    """Claims that are a list written as words: findings have the list."""
    clock_skew: int = CLOCK_SKEW


@dataclass(frozen=True, slots=True)
class TokenOf:
    """A good token of this provider, with its own audiences or these."""

    provider: str
    audiences: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of these."""

    requirements: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of these."""

    requirements: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class AllowMissing:
    """No token, or none that is bad."""


@dataclass(frozen=True, slots=True)
class AllowMissingOrFailed:
    """Whatever there is; what is good counts."""


Requirement: TypeAlias = TokenOf | AnyOf | AllOf | AllowMissing | AllowMissingOrFailed


@dataclass(frozen=True, slots=True)
class RequirementRule:
    """What requests must show that match; the first rule that matches decides."""

    match: RouteMatch
    requirement: Requirement | None
    """None: nothing."""


@dataclass(frozen=True, slots=True)
class JwtPlan:
    """The filter."""

    providers: tuple[ProviderPlan, ...]
    """In the order of their names."""
    rules: tuple[RequirementRule, ...]
    bypass_cors_preflight: bool = False
    strip_failure_response: bool = False
    """The answer does not say what is wrong."""
