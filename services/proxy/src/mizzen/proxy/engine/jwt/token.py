"""A token as it is written: three parts of Base64url, of which two are JSON (RFC 7515 §3.1, RFC 7519).

Stricter than Envoy, which skips empty parts and blanks: what can be read in two ways is not read at all.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

from mizzen.proxy.engine.jwt import failures

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
    | {"HS256", "HS384", "HS512"}
)
"""Envoy's. `none` is not among them."""
Claims: TypeAlias = Mapping[str, object]
_ALPHABET: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_LARGEST: Final = 2**64


@dataclass(frozen=True, slots=True)
class Token:
    """What a token claims; whether it is true is for the keys to say. Times are Unix seconds."""

    header: Claims
    claims: Claims
    algorithm: str
    key_id: str
    issuer: str
    audiences: tuple[str, ...]
    not_before: int
    expires: int | None
    payload: bytes
    """As it was encoded."""
    signed: bytes
    signature: bytes


class Malformed(ValueError):
    """It is no token; the text is one of `failures`."""


def parse(text: bytes) -> Token:
    """Read a token without judging it; raises Malformed."""
    parts = text.split(b".")
    if len(parts) != 3 or not all(parts):
        raise Malformed(failures.BAD_FORMAT)
    header = _object(_decode(parts[0], failures.HEADER_BASE64), failures.HEADER_JSON)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str):
        raise Malformed(failures.HEADER_ALGORITHM)
    if algorithm not in ALGORITHMS:
        raise Malformed(failures.HEADER_UNSUPPORTED_ALGORITHM)
    key_id = header.get("kid", "")
    if not isinstance(key_id, str):
        raise Malformed(failures.HEADER_KEY_ID)
    claims = _object(_decode(parts[1], failures.PAYLOAD_BASE64), failures.PAYLOAD_JSON)
    issuer = _text(claims, "iss")
    _text(claims, "sub")
    _time(claims, "iat")
    not_before = _time(claims, "nbf") or 0
    expires = _time(claims, "exp")
    _text(claims, "jti")
    audiences = _audiences(claims)
    signature = _decode(parts[2], failures.SIGNATURE_BASE64)
    signed = b"%b.%b" % (parts[0], parts[1])
    return Token(header, claims, algorithm, key_id, issuer, audiences, not_before, expires, parts[1], signed, signature)


def _decode(part: bytes, failure: str) -> bytes:
    """Base64url in its one spelling, with its padding or without (RFC 7515 has none, some issuers write it)."""
    bare = part.rstrip(b"=")
    padding = b"=" * (-len(bare) % 4)
    if not _ALPHABET.issuperset(bare) or part[len(bare) :] not in (b"", padding):
        raise Malformed(failure)
    try:
        decoded = urlsafe_b64decode(bare + padding)
    except Error:
        raise Malformed(failure) from None
    if urlsafe_b64encode(decoded).rstrip(b"=") != bare:
        raise Malformed(failure)
    return decoded


def _object(data: bytes, failure: str) -> dict[str, object]:
    """A JSON object all of whose texts can be written as UTF-8."""
    try:
        text = data.decode()
        found = json.loads(text, parse_constant=_no_number)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()  # half a character, which nothing could be compared with
    except (ValueError, RecursionError):
        raise Malformed(failure) from None
    if not isinstance(found, dict):
        raise Malformed(failure)
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _text(claims: Claims, name: str) -> str:
    value = claims.get(name, "")
    if not isinstance(value, str):
        raise Malformed(failures.not_a_string(name))
    return value


def _time(claims: Claims, name: str) -> int | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed(failures.not_an_integer(name))
    if not 0 <= value < _LARGEST:  # 1e999 is infinity
        raise Malformed(failures.out_of_range(name))
    return int(value)


def _audiences(claims: Claims) -> tuple[str, ...]:
    stated = claims.get("aud", [])
    found = stated if isinstance(stated, list) else [stated]
    if not all(isinstance(each, str) for each in found):
        raise Malformed(failures.AUDIENCE_TYPE)
    return tuple(found)
