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

from mizzen.injector.certificate.issue import Issued, Pair

RENEW_AT = 2 / 3
"""The part of a certificate's life after which its successor is made."""
URGENT_AT = 9 / 10
"""The part after which any successor is better than none."""


@dataclass(frozen=True, slots=True)
class Held:
    """A content of the Secret."""

    serving: Pair | None = None
    coming: Pair | None = None
    """Served when everybody knows its root."""
    roots: tuple[bytes, ...] = ()
    """All that somebody may need, in PEM, the newest last: those above what is served, and of what was made last."""

    @property
    def bundle(self) -> bytes:
        """The roots as one text: the `caBundle`."""
        return b"".join(self.roots)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The names that the webhook is called by, and for how long a certificate is made."""

    hosts: Sequence[str]
    life: timedelta
    roots: tuple[bytes, ...] = ()
    """In PEM: one of them should be above it. Empty: any root is as good."""


def is_due(held: Held, wanted: Wanted, now: datetime) -> bool:
    """Whether a new certificate should be made."""
    held = _without_useless(held, wanted.hosts, now)
    if held.coming is not None:
        return False
    if held.serving is None or now >= renewal(held.serving):
        return True
    return bool(wanted.roots) and not is_below(held.serving, wanted.roots)


def is_urgent(held: Held, wanted: Wanted, now: datetime) -> bool:
    """Whether one of any authority should be made, so that there is one at all."""
    held = _without_useless(held, wanted.hosts, now)
    return held.coming is None and (held.serving is None or now >= _part(held.serving, URGENT_AT))


def next_content(held: Held, wanted: Wanted, now: datetime, *, known: bool, issued: Issued | None) -> Held:
    """What the Secret should hold; `held` itself when all is well. `known`: everybody has its bundle by now.

    `issued` was made because it `is_due`. A pair of no use, as one that expired or is for other names, is no pair.
    """
    held = _without_useless(held, wanted.hosts, now)
    if held.serving is None and held.coming is not None:
        return replace(held, serving=held.coming, coming=None)  # perhaps too early, yet nothing else can be served
    if held.serving is None:
        return held if issued is None else Held(issued.pair, None, _joined(held.roots, issued))
    if held.coming is not None:
        return replace(held, serving=held.coming, coming=None) if known else held
    if issued is None:
        return held
    needed = tuple(root for root in held.roots if is_below(held.serving, (root,)))
    return Held(held.serving, issued.pair, _joined(needed, issued))


def renewal(pair: Pair) -> datetime:
    """When its successor is due."""
    return _part(pair, RENEW_AT)


def is_below(pair: Pair, roots: Sequence[bytes]) -> bool:
    """Whether one of these roots has signed it, or the last of its intermediates."""
    last = x509.load_pem_x509_certificates(pair.chain)[-1]
    return any(_signed(last, x509.load_pem_x509_certificate(root)) for root in roots)


def _part(pair: Pair, part: float) -> datetime:
    certificate = x509.load_pem_x509_certificate(pair.chain)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin + (end - begin) * part


def _joined(roots: tuple[bytes, ...], issued: Issued) -> tuple[bytes, ...]:
    return roots + tuple(root for root in issued.roots if root not in roots)


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
    return fits and named and is_below(pair, roots) and chain[0].not_valid_after_utc > now


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
