"""Bootstrap tokens: JWTs of service accounts, as Kubernetes issues them and our other runtimes do.

`sub` is `system:serviceaccount:NAMESPACE:NAME`, `aud` has `istio-ca`, and there is an end (`exp`).
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from mizzen.identity.spiffe import InvalidIdentity, SpiffeId
from mizzen.runtime.errors import StartError

AUDIENCE: Final = "istio-ca"
ALGORITHMS: Final = ["ES256", "RS256"]
MAX_CHARACTERS: Final = 8 * 1024
_SUBJECT: Final = "system:serviceaccount:"


class NotAuthenticated(Exception):
    """Nobody knows who is asking; the message says why, and never quotes the token."""


class CannotTell(Exception):
    """Who judges tokens is away or busy, so that nobody knows yet; the message says why."""


class Verifier(Protocol):
    """Who judges tokens."""

    async def verify(self, token: str, now: datetime, /) -> SpiffeId:
        """Whose token it is; raises NotAuthenticated, CannotTell."""


class TokenVerifier:
    """Believes who signs with one of these keys."""

    def __init__(self, keys: KeySet, trust_domain: str) -> None:
        self._keys = keys
        self._trust_domain = trust_domain

    @classmethod
    def read(cls, path: Path, trust_domain: str) -> TokenVerifier:
        """Public keys from a JWKS file; raises StartError."""
        try:
            return cls(KeySet.import_key_set(json.loads(path.read_text())), trust_domain)
        except (OSError, ValueError, KeyError, TypeError, JoseError) as error:
            raise StartError(f"{path}: not a JSON Web Key Set: {error}") from error

    async def verify(self, token: str, now: datetime) -> SpiffeId:
        """Whose token it is; raises NotAuthenticated."""
        check_length(token)
        rules = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            aud={"essential": True, "value": AUDIENCE},
            exp={"essential": True},
            sub={"essential": True},
        )
        try:
            decoded = jwt.decode(token, self._keys, algorithms=ALGORITHMS)
            rules.validate(decoded.claims)
        except (JoseError, ValueError, TypeError, RecursionError) as error:  # the library believes in types of JSON
            raise NotAuthenticated(f"the token is not good: {error}") from error
        return identity_of_subject(decoded.claims["sub"], self._trust_domain)


def check_length(token: str) -> None:
    """Raises NotAuthenticated where there is no token, or one that is too long to be looked at."""
    if not token:
        raise NotAuthenticated("the token is empty")
    if len(token) > MAX_CHARACTERS:
        raise NotAuthenticated(f"the token has more than {MAX_CHARACTERS} characters")


def identity_of_subject(subject: object, trust_domain: str) -> SpiffeId:
    """The identity of a user whom Kubernetes calls by this name; raises NotAuthenticated."""
    if not isinstance(subject, str) or not subject.startswith(_SUBJECT) or subject.count(":") != 3:
        raise NotAuthenticated(f"the token's subject is not of the form {_SUBJECT}NAMESPACE:NAME")
    namespace, account = subject.removeprefix(_SUBJECT).split(":")
    try:
        return SpiffeId(trust_domain, namespace, account)
    except InvalidIdentity as error:
        raise NotAuthenticated(str(error)) from error
