"""What was revoked: the lists in `ca-crl.pem`, one for each authority of a chain. No I/O; the time is an argument."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509

from mizzen.identity.revocation import RevocationList, agree, lists_from_pem, signers_key
from mizzen.pilot.ca.authority import Authority
from mizzen.runtime.errors import StartError

log = logging.getLogger(__name__)

MAX_CHARACTERS: Final = 1024 * 1024
"""What fits in a ConfigMap, and what proxies read."""


@dataclass(frozen=True, slots=True)
class Revocations:
    """All lists, as the text that proxies are given and as values."""

    pem: str = ""
    lists: tuple[RevocationList, ...] = ()

    def vouch_for(self, certificate: x509.Certificate, known: Iterable[x509.Certificate]) -> bool:
        """Whether nothing is revoked from here up to a root among the `known` authorities.

        False too for what a stranger has signed, where there are lists: only a handshake with its chain can tell.
        """
        if not self.lists:
            return True
        above = list(known)
        while not any(each.has(certificate) for each in self.lists):
            if certificate in above and certificate.issuer == certificate.subject:
                return True
            issuer = next((each for each in above if _may_have_signed(each, certificate)), None)
            if issuer is None:
                return False
            if issuer.issuer != issuer.subject:
                above.remove(issuer)  # no chain goes through it twice
            certificate = issuer
        return False


NOTHING_REVOKED: Final = Revocations()


def read_revocations(pem: str, authority: Authority, place: str, now: datetime) -> Revocations:
    """Raises StartError that names the `place` for what cannot be read, or lacks the list of an authority's chain.

    With a list that lacks, OpenSSL would refuse everybody: it wants one of each authority up to the root.
    """
    if not pem.strip():
        return NOTHING_REVOKED
    if len(pem) > MAX_CHARACTERS:
        raise StartError(f"{place} is longer than {MAX_CHARACTERS} characters")
    try:
        found = lists_from_pem(pem)
    except ValueError as error:
        raise StartError(f"{place}: not revocation lists in PEM: {error}") from error
    if not found:
        raise StartError(f"{place}: not revocation lists in PEM")
    for certificate in _path(authority):
        _check(certificate, found, place, now)
    return Revocations(pem, tuple(map(RevocationList.of, found)))


def _path(authority: Authority) -> list[x509.Certificate]:
    """The signer, its intermediates, and the root above them."""
    path = list(dict.fromkeys((authority.certificate, *authority.intermediates)))
    root = next((each for each in authority.roots if _may_have_signed(each, path[-1])), None)
    return path if root is None or root in path else [*path, root]


def _check(
    certificate: x509.Certificate, found: Iterable[x509.CertificateRevocationList], place: str, now: datetime
) -> None:
    name = certificate.subject.rfc4514_string()
    own = [each for each in found if each.issuer == certificate.subject and _is_signed(each, certificate)]
    if not own:
        raise StartError(f"{place} has no list that {name!r} has signed; each authority of the chain needs one")
    ends = [each.next_update_utc for each in own if each.next_update_utc is not None]
    if len(ends) == len(own) and max(ends) <= now:
        log.warning(
            "%s: the list of %r has ended at %s: what that one has signed is refused until there is a newer one",
            *(place, name, max(ends)),
        )


def _is_signed(revoked: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return revoked.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except TypeError:  # no key that signs lists
        return False


def _may_have_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """By their names alone: a handshake has verified signatures."""
    try:
        own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        own = None
    return issuer.subject == certificate.issuer and agree(own, signers_key(certificate.extensions))
