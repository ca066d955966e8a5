"""Why a token is not accepted: Envoy's words, which are the body of the answer and part of its details."""

from __future__ import annotations

from typing import Final

MISSING: Final = "Jwt is missing"
NOT_YET_VALID: Final = "Jwt not yet valid"
EXPIRED: Final = "Jwt is expired"
BAD_FORMAT: Final = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"
HEADER_BASE64: Final = "Jwt header is an invalid Base64url encoded"
HEADER_JSON: Final = "Jwt header is an invalid JSON"
HEADER_ALGORITHM: Final = "Jwt header [alg] field is required and must be a string"
HEADER_UNSUPPORTED_ALGORITHM: Final = "Jwt header [alg] is not supported"
HEADER_KEY_ID: Final = "Jwt header [kid] field is not a string"
PAYLOAD_BASE64: Final = "Jwt payload is an invalid Base64url encoded"
PAYLOAD_JSON: Final = "Jwt payload is an invalid JSON"
AUDIENCE_TYPE: Final = "Jwt payload [aud] field is not a string or string list"
SIGNATURE_BASE64: Final = "Jwt signature is an invalid Base64url encoded"
UNKNOWN_ISSUER: Final = "Jwt issuer is not configured"
AUDIENCE_NOT_ALLOWED: Final = "Audiences in Jwt are not allowed"
VERIFICATION: Final = "Jwt verification fails"
EDWARDS_LENGTH: Final = "Jwt ED25519 signature is wrong length"
NO_VALID_KEYS: Final = "Jwks doesn't have any valid public key"
NO_MATCHING_KEY: Final = "Jwks doesn't have key to match kid or alg from Jwt"


def not_a_string(claim: str) -> str:
    """A claim that must be a text is none."""
    return f"Jwt payload [{claim}] field is not a string"


def not_an_integer(claim: str) -> str:
    """A claim that must be a time is no number."""
    return f"Jwt payload [{claim}] field is not an integer"


def out_of_range(claim: str) -> str:
    """A claim that must be a time is none of this universe."""
    return f"Jwt payload [{claim}] field is not a positive 64 bit integer"
