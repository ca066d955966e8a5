"""Tokens of users (JWT) and the keys they are signed with."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from typing import Any

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

HOUR = 3600


class Issuer:
    """Signs tokens with any of its keys, of which each is for one algorithm."""

    def __init__(self, name: str, *algorithms: str) -> None:
        self.name = name
        self._keys = {algorithm: _key(algorithm) for algorithm in algorithms}

    @property
    def jwks(self) -> str:
        """The public keys."""
        keys = [
            {**key.as_dict(private=False), "kid": algorithm, "alg": algorithm} for algorithm, key in self._keys.items()
        ]
        return json.dumps({"keys": keys})

    def token(self, algorithm: str = "", *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token that is valid for an hour, unless claims say otherwise; a claim of None is left out."""
        algorithm = algorithm or next(iter(self._keys))
        stated = {"iss": self.name, "sub": "anna", "exp": int(time.time()) + HOUR} | claims
        kept = {name: value for name, value in stated.items() if value is not None}
        return sign({"alg": algorithm, "kid": algorithm} | (header or {}), kept, algorithm, self._keys[algorithm])


def sign(header: dict[str, Any], claims: Any, algorithm: str, key: Key) -> str:
    """Whatever these say, signed by this algorithm."""
    signed = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"
    return f"{signed}.{encoded(JWSRegistry.algorithms[algorithm].sign(signed.encode(), key))}"


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _key(algorithm: str) -> Key:
    if algorithm.startswith("ES"):
        return ECKey.generate_key({"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[algorithm])
    return OKPKey.generate_key("Ed25519") if algorithm == "EdDSA" else RSAKey.generate_key(2048)
