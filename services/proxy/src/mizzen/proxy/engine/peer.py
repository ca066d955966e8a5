"""Who is at the other end of a connection, as its certificate proves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, TypeAlias

from mizzen.proxy.engine.match import bind_string
from mizzen.proxy.engine.tls_plan import NameMatch

Names: TypeAlias = Sequence[tuple[str, str]]
"""The alternative names of a certificate: kind (`URI`, `DNS`) and name."""

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

    __slots__ = ("digest", "dns", "principals", "subject", "uris")

    def __init__(self, certificate: Mapping[str, Any], encoded: bytes) -> None:
        """`certificate` in the form of `ssl.SSLObject.getpeercert()`, and the same in DER."""
        names = certificate.get("subjectAltName", ())
        self.uris: Final = tuple(name for kind, name in names if kind == "URI")
        self.dns: Final = tuple(name for kind, name in names if kind == "DNS")
        self.subject: Final = _distinguished(certificate.get("subject", ()))
        self.digest: Final = sha256(encoded).hexdigest()
        self.principals: Final = tuple(name.encode() for name in self.uris or self.dns or (self.subject,))
        """Its names as authorization compares them: the URIs, else the DNS names, else the subject (Envoy)."""


def _distinguished(parts: Iterable[Iterable[tuple[str, str]]]) -> str:
    """As RFC 2253 writes it: the last part first."""
    texts = [f"{_ATTRIBUTES.get(name, name)}={_escaped(value)}" for part in parts for name, value in part]
    return ",".join(reversed(texts))


def _escaped(value: str) -> str:
    return "".join(f"\\{letter}" if letter in ',+"\\<>;' else letter for letter in value)


def bind_names(names: Sequence[NameMatch]) -> Callable[[Names], bool]:
    """Whether one of a certificate's names is one of these; without any, every certificate is good."""
    if not names:
        return lambda _: True
    bound = [(each.kind, bind_string(each.match)) for each in names]

    def is_peer(found: Names) -> bool:
        return any(kind == of and matches(name.encode()) for kind, name in found for of, matches in bound)

    return is_peer
