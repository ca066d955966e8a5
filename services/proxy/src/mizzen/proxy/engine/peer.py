"""Who is at the other end of a connection, as its certificate proves."""

from __future__ import annotations

import re
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1, sha256
from ipaddress import ip_address
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from mizzen.proxy.engine.match import bind_string
from mizzen.proxy.engine.tls_plan import NameMatch, TlsPlan

Names: TypeAlias = Sequence[tuple[str, str]]
"""The alternative names of a certificate: kind (`URI`, `DNS`) and name."""

_WORDS: Final = frozenset({"URI", "DNS", "email"})
"""Kinds of alternative names that are texts."""
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")
_ATTRIBUTES: Final = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "localityName": "L",
    "stateOrProvinceName": "ST",
}


class Peer:
    """What a verified certificate says, read once a connection."""

    __slots__ = ("_certificate", "digest", "dns", "encoded", "names", "principals", "subject", "uris")

    def __init__(self, certificate: Mapping[str, Any], encoded: bytes) -> None:
        """`certificate` in the form of `ssl.SSLObject.getpeercert()`, and the same in DER.

        ValueError for names with control characters: they would end lines of headers and logs.
        """
        self._certificate = certificate
        self.encoded: Final = encoded
        self.names: Final[Names] = certificate.get("subjectAltName", ())
        if any(kind in _WORDS and _CONTROLS.search(name) for kind, name in self.names):
            raise ValueError("a name with control characters")
        self.uris: Final = self.names_of("URI")
        self.dns: Final = self.names_of("DNS")
        self.subject: Final = _distinguished(certificate.get("subject", ()))
        self.digest: Final = sha256(encoded).hexdigest()
        """SHA-256 of the certificate, hexadecimal."""
        self.principals: Final = tuple(name.encode() for name in self.uris or self.dns or (self.subject,))
        """Its names as authorization compares them: the URIs, else the DNS names, else the subject (Envoy)."""

    def names_of(self, kind: str) -> tuple[str, ...]:
        """The alternative names of one kind."""
        return tuple(name for of, name in self.names if of == kind)

    @property
    def issuer(self) -> str:
        return _distinguished(self._certificate.get("issuer", ()))

    @property
    def serial(self) -> str:
        """Hexadecimal, without zeros before it."""
        return str(self._certificate.get("serialNumber", "")).lower().lstrip("0")

    @property
    def begins(self) -> int:
        """Unix time."""
        return ssl.cert_time_to_seconds(self._certificate["notBefore"])

    @property
    def ends(self) -> int:
        """Unix time."""
        return ssl.cert_time_to_seconds(self._certificate["notAfter"])

    @property
    def digest_1(self) -> str:
        """SHA-1 of the certificate, hexadecimal."""
        return sha1(self.encoded, usedforsecurity=False).hexdigest()

    @property
    def quoted_pem(self) -> str:
        """The certificate in PEM, encoded for a URL."""
        return quote(ssl.DER_cert_to_PEM_cert(self.encoded), safe="")


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What both sides of a connection agreed on."""

    version: str
    """`TLSv1.3`."""
    cipher: str
    session_id: str
    """Hexadecimal; empty for none."""
    own: str
    """The URI in this proxy's certificate; empty for none."""
    peer: Peer | None
    """None without a certificate that somebody vouches for."""


def _distinguished(parts: Iterable[Iterable[tuple[str, str]]]) -> str:
    """As RFC 2253 writes it: the last part first, control characters in hexadecimal digits."""
    texts = [f"{_ATTRIBUTES.get(name, name)}={_escaped(value)}" for part in parts for name, value in part]
    return ",".join(reversed(texts))


def _escaped(value: str) -> str:
    plain = "".join(f"\\{letter}" if letter in ',+"\\<>;' else letter for letter in value)
    return _CONTROLS.sub(lambda found: f"\\{ord(found[0]):02X}", plain)


# -- who is expected ------------------------------------------------------------------------------------------------

Judge: TypeAlias = Callable[[Names, bytes], str]
"""Of a certificate's alternative names and the certificate in DER: what is wrong, "" when nothing is."""
WRONG_NAMES: Final = "fail_verify_san"
WRONG_DIGEST: Final = "fail_verify_cert_hash"


def bind_judge(plan: TlsPlan) -> Judge:
    """Whether a certificate that the roots vouch for is of the peer that is expected; answers in counters' names."""
    is_named = bind_names(plan.names)
    is_pinned = _bind_digests(plan)

    def judge(names: Names, encoded: bytes) -> str:
        if not is_named(names):
            return WRONG_NAMES
        return "" if is_pinned(encoded) else WRONG_DIGEST

    return judge


def bind_names(names: Sequence[NameMatch]) -> Callable[[Names], bool]:
    """Whether one of a certificate's names is one of these; without any, every certificate is good."""
    if not names:
        return lambda _: True
    bound = [(each.kind, _bind_name(each)) for each in names]

    def is_peer(found: Names) -> bool:
        return any(kind == of and matches(name) for kind, name in found for of, matches in bound)

    return is_peer


def _bind_name(name: NameMatch) -> Callable[[str], bool]:
    expected = name.match.value
    if name.kind == "DNS" and name.match.kind == "exact":
        return lambda shown: is_dns_name(expected.lower(), shown.lower())
    if name.kind == "IP Address" and name.match.kind == "exact":
        return lambda shown: _same_address(expected, shown)
    matches = bind_string(name.match)
    return lambda shown: matches(shown.encode())


def is_dns_name(expected: str, shown: str) -> bool:
    """Whether a certificate for `shown`, of which the first label may be a wildcard, is one for `expected`."""
    if shown.startswith("*."):
        first, _, rest = expected.partition(".")
        return bool(first) and rest == shown[2:]
    return expected == shown


def _same_address(expected: str, shown: str) -> bool:
    try:
        return ip_address(expected) == ip_address(shown.strip())
    except ValueError:
        return False


def _bind_digests(plan: TlsPlan) -> Callable[[bytes], bool]:
    digests, key_digests = frozenset(plan.digests), frozenset(plan.key_digests)
    if not (digests or key_digests):
        return lambda _: True

    def is_pinned(encoded: bytes) -> bool:
        return sha256(encoded).hexdigest() in digests or (bool(key_digests) and _key_digest(encoded) in key_digests)

    return is_pinned


def _key_digest(encoded: bytes) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, base64."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = x509.load_der_x509_certificate(encoded).public_key()
    return b64encode(sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()).decode()
