"""Keys, certificates and roots to plans, after the TLS library has had a look at them: what is no good stays out."""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import Any, Final

from cryptography import x509

from mizzen.identity.inmemory import load_pair, load_roots, reason_of
from mizzen.proxy.engine.tls_plan import SecretPlan
from mizzen.proxy.snapshot.result import Invalid, Notes, at

MAX_PEM: Final = 1024 * 1024
"""Letters of one PEM text; the bundle of an operating system has about a quarter of that."""


def secret(message: Any, _: Notes) -> SecretPlan:
    """Of a Secret with its contents in it; raises Invalid."""
    kind = message.WhichOneof("type")
    if kind == "tls_certificate":
        with at(kind):
            fields = _contents(message.tls_certificate, ("certificate_chain", "private_key"))
        return pair(message.name, fields["certificate_chain"], fields["private_key"])
    if kind == "validation_context":
        with at(kind):
            fields = _contents(message.validation_context, ("trusted_ca", "crl"))
        return roots(message.name, fields["trusted_ca"], fields["crl"])
    raise Invalid(kind or "type", "must be tls_certificate or validation_context")


def pair(name: str, chain: str, key: str) -> SecretPlan:
    """A key and its certificate, with the intermediates after it. Raises Invalid, which shows nothing of the key."""
    _check_size(chain, key)
    try:
        load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), chain, key)
    except ssl.SSLError as error:
        raise Invalid("tls_certificate", f"is no certificate with its key in PEM: {reason_of(error)}") from None
    return SecretPlan(name, chain, key, identity=_first_uri(chain))


def roots(name: str, pem: str, crl: str = "") -> SecretPlan:
    """Whom to trust, and what was revoked of that. Raises Invalid."""
    _check_size(pem, crl)
    if not pem and not crl:
        raise Invalid("validation_context", "has neither roots nor revocations")
    for field, text in (("trusted_ca", pem), ("crl", crl)):
        if text:
            try:
                load_roots(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), text)
            except ssl.SSLError as error:
                raise Invalid(f"validation_context.{field}", f"cannot be read: {reason_of(error)}") from None
    return SecretPlan(name, roots=pem, crl=crl)


def first_end(plan: SecretPlan) -> float | None:
    """Unix time at which the first of its certificates ends; None without any."""
    return _first_end(plan.chain or plan.roots)


@lru_cache(1024)
def _first_end(pem: str) -> float | None:
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        return None
    return min(certificate.not_valid_after_utc.timestamp() for certificate in found)


def _contents(message: Any, known: tuple[str, ...]) -> dict[str, str]:
    """The texts of DataSources by field; raises Invalid for other fields, which would be guards."""
    for field, _ in message.ListFields():
        if field.name not in known:
            raise Invalid(field.name, "is not supported in a Secret")
    return {name: _text(message, name) for name in known}


def _text(message: Any, field: str) -> str:
    source = getattr(message, field)
    match source.WhichOneof("specifier"):
        case None:
            return ""
        case "inline_string":
            return str(source.inline_string)
        case "inline_bytes":
            try:
                return bytes(source.inline_bytes).decode()
            except UnicodeDecodeError:
                raise Invalid(field, "is not text, PEM is expected") from None
        case other:
            raise Invalid(field, f"must have its contents in it, not {other}")


def _check_size(*texts: str) -> None:
    if any(len(text) > MAX_PEM for text in texts):
        raise Invalid("", f"is longer than {MAX_PEM} letters")


def _first_uri(chain: str) -> str:
    """What the certificate calls itself; empty when it has no URI."""
    try:
        leaf = x509.load_pem_x509_certificate(chain.encode())
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return ""
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return uris[0] if uris else ""
