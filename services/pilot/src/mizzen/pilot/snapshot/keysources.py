"""Where the keys are that RequestAuthentications rely on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from mizzen.api.resource import Resource
from mizzen.api.security import JWTRule, RequestAuthentication
from mizzen.pilot.base.keysource import KeySource

TIMEOUT: Final = 5.0
"""Seconds for an answer, where a rule says nothing else."""
LONGEST: Final = 60.0
"""Seconds; whoever waits longer for a server waits in vain."""


def source_of(rule: JWTRule) -> KeySource:
    """Where the keys of a rule are that does not state them."""
    return KeySource(rule.issuer, rule.jwks_uri)


def sources_of(policies: Iterable[Resource[RequestAuthentication]]) -> Mapping[KeySource, float]:
    """The sources of all rules, with their time-outs in seconds; of several for one source the longest."""
    found: dict[KeySource, float] = {}
    for policy in policies:
        for rule in policy.spec.jwt_rules:
            if not rule.jwks:
                timeout = TIMEOUT if rule.timeout is None else rule.timeout.total_seconds()
                source = source_of(rule)
                found[source] = max(found.get(source, 0.0), min(timeout, LONGEST))
    return found
