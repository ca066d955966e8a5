"""One issuer's tokens: is this one good, and what follows from it? ★ hot."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Final

from mizzen.proxy.codec.headers import line
from mizzen.proxy.engine.jwt import failures
from mizzen.proxy.engine.jwt.cache import TokenCache
from mizzen.proxy.engine.jwt.keys import read_keys
from mizzen.proxy.engine.jwt.places import Found
from mizzen.proxy.engine.jwt.plan import ProviderPlan
from mizzen.proxy.engine.jwt.token import Claims, Malformed, Token, parse

_SCHEME: Final = re.compile("^https?://")


class Effects:
    """What a good token does to its request."""

    __slots__ = ("findings", "found", "lines", "strip")

    def __init__(
        self, found: Found, lines: list[tuple[bytes, bytes]], findings: dict[str, object], strip: bool
    ) -> None:
        self.found = found
        self.lines = lines
        """Headers for the endpoint: (lower-case name, line)."""
        self.findings = findings
        self.strip = strip
        """The token is taken out."""


class Provider:
    """A plan, its keys, and the cache that all providers of a filter share."""

    __slots__ = ("_audiences", "_cache", "_keys", "_spaced", "plan")

    def __init__(self, plan: ProviderPlan, cache: TokenCache) -> None:
        self.plan = plan
        self._cache = cache
        self._keys = read_keys(plan.keys)
        self._audiences = audience_names(plan.audiences)
        self._spaced = plan.spaced_claims

    def check(self, found: Found, now: float, audiences: frozenset[str] | None = None) -> Effects | str:
        """What follows from the token, or why it is not good; `audiences` stand for the provider's own."""
        known = self._cache.find(found.text)
        if known is not None:
            token = known.token
        else:
            try:
                token = parse(found.text)
            except Malformed as error:
                return str(error)
        issuers = found.place.issuers
        if (token.issuer not in issuers and "" not in issuers) or self.plan.issuer not in ("", token.issuer):
            return failures.UNKNOWN_ISSUER
        second, skew = int(now), self.plan.clock_skew
        if second + skew < token.not_before:
            return failures.NOT_YET_VALID
        if token.expires is not None and second > token.expires + skew:
            self._cache.drop(found.text)
            return failures.EXPIRED
        wanted = self._audiences if audiences is None else audiences
        if wanted and wanted.isdisjoint(audience_names(token.audiences)):
            return failures.AUDIENCE_NOT_ALLOWED
        if known is None or self.plan.name not in known.providers:
            failure = self._keys.failure(token)
            if failure is not None:
                return failure
            self._cache.keep(found.text, token, self.plan.name)
        return self._effects(found, token)

    def _effects(self, found: Found, token: Token) -> Effects:
        plan = self.plan
        lines: list[tuple[bytes, bytes]] = []
        if plan.payload_header:
            bare = token.payload.rstrip(b"=")
            payload = bare + b"=" * (-len(bare) % 4) if plan.pad_payload else token.payload
            lines.append(_line(plan.payload_header, payload))
        for header, claim in plan.claim_headers:
            text = claim_text(token.claims, claim)
            if text:
                lines.append(_line(header, text))
        findings: dict[str, object] = {}
        if plan.header_key:
            findings[plan.header_key] = token.header
        if plan.payload_key:
            findings[plan.payload_key] = self._spread(token.claims)
        return Effects(found, lines, findings, not plan.forward)

    def _spread(self, claims: Claims) -> Claims:
        """Claims with lists in place of texts of words."""
        words = {name: text.split(" ") for name in self._spaced if isinstance(text := claims.get(name), str)}
        if not words:
            return claims
        return {**claims, **{name: [word for word in each if word] for name, each in words.items()}}


def audience_names(audiences: Iterable[str]) -> frozenset[str]:
    """Audiences as they are compared: without a scheme in front and a slash at the end, as Envoy does."""
    return frozenset(_SCHEME.sub("", audience).removesuffix("/") for audience in audiences)


def claim_text(claims: Claims, path: str) -> bytes:
    """A claim (`a.b` is b in a) as the value of a header; b"" where there is none, or none that a header can have."""
    value: object = claims
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return b""
        value = value[key]
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, str):
        text = value.encode()
        return text if not _forbidden(text) else b""
    if isinstance(value, int | float):
        try:
            return _number(float(value))
        except OverflowError:  # no such number in Envoy, which knows but those of 64 bits
            return b""
    if value is None:
        return b""
    return b64encode(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def _number(value: float) -> bytes:
    """Whole numbers of 64 bits without a point; others with six digits, as Envoy writes them."""
    if 0 <= value < 2**64 and value == int(value):
        return b"%d" % int(value)
    return f"{value:f}".encode()


def _forbidden(text: bytes) -> bool:
    """It would end the header's line, or be no value at all (RFC 9110 §5.5)."""
    return b"\r" in text or b"\n" in text or b"\0" in text


def _line(name: str, value: bytes) -> tuple[bytes, bytes]:
    wire = name.encode()
    return wire.lower(), line(wire, value)
