"""Keys, certificates and roots to plans, after the TLS library has had a look at them: what is no good stays out."""

from __future__ import annotations

import ssl
from typing import Final

from cryptography import x509

from mizzen.identity.inmemory import load_pair, load_roots
from mizzen.proxy.engine.tls_plan import SecretPlan
from mizzen.proxy.snapshot.result import Invalid

MAX_PEM: Final = 1024 * 1024
"""Letters of one PEM text; the bundle of an operating system has about a quarter of that."""


def pair(name: str, chain: str, key: str) -> SecretPlan:
    """A key and its certificate, with the intermediates after it. Raises Invalid, which shows nothing of the key."""
    _check_size(chain, key)
    try:
        load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), chain, key)
    except ssl.SSLError as error:
        raise Invalid("tls_certificate", f"is no certificate with its key in PEM: {_reason(error)}") from None
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
                raise Invalid(f"validation_context.{field}", f"cannot be read: {_reason(error)}") from None
    return SecretPlan(name, roots=pem, crl=crl)


def _check_size(*texts: str) -> None:
    if any(len(text) > MAX_PEM for text in texts):
        raise Invalid("", f"is longer than {MAX_PEM} letters")


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).lower().replace("_", " ")


def _first_uri(chain: str) -> str:
    """What the certificate calls itself; empty when it has no URI."""
    try:
        leaf = x509.load_pem_x509_certificate(chain.encode())
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return ""
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return uris[0] if uris else ""
