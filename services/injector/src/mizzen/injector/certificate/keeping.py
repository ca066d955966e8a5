"""What the webhook's Secret should hold next. No I/O; time is an argument.

A new certificate has a new root. Whoever calls the webhook must know that root before the certificate is served, so a
renewal has three steps, each a new content of the Secret: the next pair lies ready and its root joins the bundle; when
all webhook configurations have had that bundle for a while, the next pair is served; and a root leaves the bundle when
it has expired, and every certificate by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from mizzen.injector.certificate.issue import Issued, Pair, Signer

RENEW_AT = 2 / 3
"""The part of a certificate's life after which its successor is made."""


@dataclass(frozen=True, slots=True)
class Held:
    """A content of the Secret."""

    serving: Pair | None = None
    coming: Pair | None = None
    """Served when everybody knows its root."""
    roots: tuple[bytes, ...] = ()
    """All that somebody may need, in PEM, the newest last."""

    @property
    def bundle(self) -> bytes:
        """The roots as one text: the `caBundle`."""
        return b"".join(self.roots)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The names that the webhook is called by, and for how long a certificate is made."""

    hosts: Sequence[str]
    life: timedelta


def next_content(held: Held, wanted: Wanted, now: datetime, *, known: bool, sign: Signer) -> Held:
    """What the Secret should hold; `held` itself when all is well. `known`: everybody has its bundle by now.

    A pair of no use, as one that expired or is for other names, is no pair.
    """
    held = _without_useless(held, wanted.hosts, now)
    if held.serving is None and held.coming is not None:
        return replace(held, serving=held.coming, coming=None)  # perhaps too early, yet nothing else can be served
    if held.serving is None:
        issued = sign(wanted.hosts, now, wanted.life)
        return Held(issued.pair, None, _joined(held, issued))
    if held.coming is not None:
        return replace(held, serving=held.coming, coming=None) if known else held
    if now >= renewal(held.serving):
        issued = sign(wanted.hosts, now, wanted.life)
        return Held(held.serving, issued.pair, _joined(held, issued))
    return held


def renewal(pair: Pair) -> datetime:
    """When its successor is due."""
    certificate = x509.load_pem_x509_certificate(pair.chain)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin + (end - begin) * RENEW_AT


def _joined(held: Held, issued: Issued) -> tuple[bytes, ...]:
    return held.roots + tuple(root for root in issued.roots if root not in held.roots)


def _without_useless(held: Held, hosts: Sequence[str], now: datetime) -> Held:
    roots = tuple(root for root in held.roots if _end(root) > now)
    serving, coming = (
        pair if pair and _is_of_use(pair, roots, hosts, now) else None for pair in (held.serving, held.coming)
    )
    cleaned = Held(serving, coming, roots)
    return held if cleaned == held else cleaned


def _is_of_use(pair: Pair, roots: Sequence[bytes], hosts: Sequence[str], now: datetime) -> bool:
    """Whether it is valid now, for these names, by one of these roots, and certificate and key belong together."""
    try:
        chain = x509.load_pem_x509_certificates(pair.chain)
        key = load_pem_private_key(pair.key, None)
        names = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, x509.ExtensionNotFound):
        return False
    fits = _public(key.public_key()) == _public(chain[0].public_key())
    named = set(hosts) <= set(names.get_values_for_type(x509.DNSName))
    by_us = any(_signed(chain[-1], x509.load_pem_x509_certificate(root)) for root in roots)
    return fits and named and by_us and chain[0].not_valid_after_utc > now


def _signed(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _public(key: object) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded


def _end(root: bytes) -> datetime:
    return x509.load_pem_x509_certificate(root).not_valid_after_utc
