"""Public keys of an issuer (RFC 7517), and whether one of them has signed a token.

The signatures themselves are joserfc's. Which key may be asked about which algorithm is decided here, by the key alone:
a public key is never a secret for HMAC, whatever a token says.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry
from joserfc.jws import JWSRegistry

from mizzen.proxy.engine.jwt import failures
from mizzen.proxy.engine.jwt.token import Token

_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_SECRET: Final = frozenset({"HS256", "HS384", "HS512"})
_EDWARDS: Final = frozenset({"EdDSA"})
_EDWARDS_SIGNATURE: Final = 64
"""Bytes."""
_BY_CURVE: Final = {
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): _EDWARDS,
}
_MEMBERS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "oct": ("k",)}
"""What makes the key itself; private parts, which some publish by mistake, are not looked at."""


class PublicKey(NamedTuple):
    """A key that can be used."""

    key_id: str
    algorithm: str
    """The only one it is for; empty: all of its kind."""
    algorithms: frozenset[str]
    """Those of its kind."""
    key: Any
    """joserfc's."""


class KeySet:
    """The keys of one issuer."""

    __slots__ = ("keys",)

    def __init__(self, keys: tuple[PublicKey, ...]) -> None:
        self.keys = keys

    def failure(self, token: Token) -> str | None:
        """None when one of the keys has signed it. Envoy's choice: by key id where both have one, and by algorithm."""
        if not self.keys:
            return failures.NO_VALID_KEYS
        failure = failures.NO_MATCHING_KEY
        for key_id, algorithm, algorithms, key in self.keys:
            if (token.key_id and key_id and key_id != token.key_id) or (algorithm and algorithm != token.algorithm):
                continue
            if algorithms is _EDWARDS and len(token.signature) != _EDWARDS_SIGNATURE:
                return failures.EDWARDS_LENGTH
            failure = failures.VERIFICATION
            if token.algorithm in algorithms and _has_signed(key, token):
                return None
        return failure


@lru_cache(16)  # the listeners of a worker mostly have the same issuers
def read_keys(text: str) -> KeySet:
    """The keys of a JSON Web Key Set that can be used; none where it is not one."""
    try:
        stated = json.loads(text)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return KeySet(())
    return KeySet(tuple(_keys(stated if isinstance(stated, list) else [])))


def _keys(stated: list[object]) -> Iterator[PublicKey]:
    for each in stated:
        if isinstance(each, Mapping):
            found = _key(each)
            if found is not None:
                yield found


def _key(stated: Mapping[str, Any]) -> PublicKey | None:
    kind, algorithm, key_id = (stated.get(name, "") for name in ("kty", "alg", "kid"))
    if not isinstance(kind, str) or not isinstance(algorithm, str) or not isinstance(key_id, str):
        return None
    algorithms = _algorithms(kind, stated.get("crv"))
    members: dict[str, Any] = {name: stated.get(name) for name in _MEMBERS.get(kind, ())}
    if not algorithms or (algorithm and algorithm not in algorithms):
        return None
    if not all(isinstance(value, str) for value in members.values()):
        return None
    try:
        with warnings.catch_warnings(action="ignore"):  # an issuer's key is as long as it is
            key = JWKRegistry.import_key({"kty": kind, **members})
            key.get_op_key("verify")
    except (JoseError, ValueError, TypeError):
        return None
    return PublicKey(key_id, algorithm, algorithms, key)


def _algorithms(kind: str, curve: object) -> frozenset[str]:
    if kind == "RSA":
        return _RSA
    if kind == "oct":
        return _SECRET
    return _BY_CURVE.get((kind, curve), frozenset()) if isinstance(curve, str) else frozenset()


def _has_signed(key: Any, token: Token) -> bool:
    return bool(JWSRegistry.algorithms[token.algorithm].verify(token.signed, token.signature, key))
