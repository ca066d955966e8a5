"""Validation contexts: whose certificates are believed."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, replace
from typing import Any, Final

from mizzen.proxy.engine.tls_plan import CRL_FILE, ROOTS_FILE, SYSTEM_ROOTS, NameKind, NameMatch
from mizzen.proxy.snapshot.matchers import string_match
from mizzen.proxy.snapshot.result import Invalid, at
from mizzen.proxy.snapshot.tls_sources import file_name, secret_name

_KINDS: Final[dict[int, NameKind]] = {1: "email", 2: "DNS", 3: "URI", 4: "IP Address"}
"""envoy...SubjectAltNameMatcher.SanType."""
_KNOWN: Final = (
    "trusted_ca",
    "system_root_certs",
    "match_typed_subject_alt_names",
    "match_subject_alt_names",
    "verify_certificate_hash",
    "verify_certificate_spki",
    "crl",
    "only_verify_leaf_cert_crl",
)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_SHA256_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Validation:
    """How a peer's certificate is looked at, in the fields of `TlsPlan`."""

    roots: str = ""
    names: tuple[NameMatch, ...] = ()
    crl: str = ""
    only_leaf_crl: bool = False
    digests: tuple[str, ...] = ()
    key_digests: tuple[str, ...] = ()


def validation(message: Any) -> Validation:
    """Of a CommonTlsContext; raises Invalid."""
    kind = message.WhichOneof("validation_context_type")
    if kind is None:
        return Validation()
    with at(kind):
        if kind == "validation_context_sds_secret_config":
            return Validation(secret_name(message.validation_context_sds_secret_config))
        if kind == "validation_context":
            return _context(message.validation_context)
        combined = message.combined_validation_context
        with at("default_validation_context"):
            default = _context(combined.default_validation_context, has_more=True)
        if default.roots:
            raise Invalid("default_validation_context.trusted_ca", "is not supported beside roots by SDS")
        with at("validation_context_sds_secret_config"):
            return replace(default, roots=secret_name(combined.validation_context_sds_secret_config))


def _context(context: Any, *, has_more: bool = False) -> Validation:
    """`has_more`: the roots are elsewhere."""
    for field, _ in context.ListFields():
        if field.name not in _KNOWN:
            raise Invalid(field.name, "is not supported")
    roots = SYSTEM_ROOTS if context.HasField("system_root_certs") else ""
    if context.HasField("trusted_ca"):
        roots = ROOTS_FILE + file_name(context, "trusted_ca")
    names = _names(context)
    crl = CRL_FILE + file_name(context, "crl") if context.HasField("crl") else ""
    if not (roots or has_more):
        if names:
            raise Invalid("match_typed_subject_alt_names", "without trusted_ca, anybody can claim these names")
        if crl:
            raise Invalid("crl", "without trusted_ca, nothing is revoked")
    return Validation(
        roots,
        names,
        crl,
        context.only_verify_leaf_cert_crl,
        tuple(_digest(text) for text in context.verify_certificate_hash),
        tuple(_key_digest(text) for text in context.verify_certificate_spki),
    )


def _names(context: Any) -> tuple[NameMatch, ...]:
    if context.match_typed_subject_alt_names:
        return tuple(_name(each) for each in context.match_typed_subject_alt_names)
    matches = [string_match(each) for each in context.match_subject_alt_names]  # of any kind
    return tuple(NameMatch(kind, match) for match in matches for kind in _KINDS.values())


def _name(message: Any) -> NameMatch:
    kind = _KINDS.get(message.san_type)
    if kind is None:
        raise Invalid("match_typed_subject_alt_names.san_type", "must be EMAIL, DNS, URI or IP_ADDRESS")
    return NameMatch(kind, string_match(message.matcher))


def _digest(text: str) -> str:
    plain = text.replace(":", "").lower()
    if _DIGEST.fullmatch(plain) is None:
        raise Invalid("verify_certificate_hash", f"{text!r} is no SHA-256 in hexadecimal digits")
    return plain


def _key_digest(text: str) -> str:
    try:
        found = base64.b64decode(text, validate=True)
    except binascii.Error:
        found = b""
    if len(found) != _SHA256_BYTES:
        raise Invalid("verify_certificate_spki", f"{text!r} is no SHA-256 in base64")
    return text
