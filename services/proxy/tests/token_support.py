"""Tokens of users, signed with keys of the tests."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

from joserfc.jwk import ECKey, Key
from joserfc.jws import JWSRegistry

from mizzen.proxy.codec.headers import Head, line, read_head, value_of
from mizzen.proxy.engine.jwt.plan import (
    AllowMissing,
    AnyOf,
    JwtPlan,
    ProviderPlan,
    Requirement,
    RequirementRule,
    TokenOf,
)
from mizzen.proxy.engine.match_plan import PathMatch, RouteMatch
from mizzen.proxy.engine.request import Findings

NOW = 1_800_000_000.0
KEY: Key = ECKey.generate_key("P-256")
ME = "https://me.example.com"
EVERYTHING = RouteMatch(PathMatch("prefix", "/"))


def jwks(*keys: Key, **members: Any) -> str:
    return json.dumps({"keys": [{**key.as_dict(private=False), **members} for key in keys or (KEY,)]})


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(header: Any, claims: Any, key: Key = KEY, algorithm: str = "ES256") -> str:
    signed = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"
    return f"{signed}.{encoded(JWSRegistry.algorithms[algorithm].sign(signed.encode(), key))}"


def token(**claims: Any) -> str:
    return sign({"alg": "ES256"}, {"iss": ME, "sub": "anna", "exp": NOW + 3600} | claims)


def provider(name: str = "me", **fields: Any) -> ProviderPlan:
    return ProviderPlan(**{"name": name, "issuer": ME, "keys": jwks(), "payload_key": "payload"} | fields)


def plan(*providers: ProviderPlan, requirement: Requirement | None = None, **fields: Any) -> JwtPlan:
    """Of the first provider or none, as Pilot makes it, unless something else is required."""
    providers = providers or (provider(),)
    wanted = requirement or AnyOf((TokenOf(providers[0].name), AllowMissing()))
    return JwtPlan(providers, (RequirementRule(EVERYTHING, wanted),), **fields)


@dataclass
class Request:
    """Satisfies mizzen.proxy.engine.jwt.filter.Bearer."""

    head: Head = field(default_factory=dict)
    path: bytes = b"/"
    method: bytes = b"GET"
    authority: bytes = b"shop.com"
    scheme: bytes = b"http"
    findings: Findings = field(default_factory=dict)

    def header(self, name: bytes, /) -> bytes | None:
        return value_of(self.head, name)

    def metadata(self, namespace: str, /) -> Any:
        return self.findings.get(namespace, {})

    @property
    def claims(self) -> Any:
        return self.metadata("envoy.filters.http.jwt_authn").get("payload")


def request(*headers: tuple[str, str], path: str = "/", **fields: Any) -> Request:
    lines = [line(name.encode(), value.encode("latin-1")) for name, value in headers]
    return Request(read_head(lines), path.encode("latin-1"), **fields)


def bearing(text: str) -> Request:
    return request(("Authorization", f"Bearer {text}"))
