"""SPIFFE ids as Istio gives them: `spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT`.

Source: the SPIFFE-ID specification, §2; Istio's pkg/spiffe.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

DEFAULT_TRUST_DOMAIN: Final = "cluster.local"
_SCHEME: Final = "spiffe://"
_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT: Final = re.compile(r"[a-zA-Z0-9._-]{1,253}")
_DOTS: Final = (".", "..")
"""Segments that a path must not have (§2.2)."""


class InvalidIdentity(ValueError):
    """A text that is no SPIFFE id of a workload; the message says why."""


@dataclass(frozen=True, slots=True, order=True)
class SpiffeId:
    """One workload's identity: its service account."""

    trust_domain: str
    namespace: str
    service_account: str

    def __post_init__(self) -> None:
        """Raises InvalidIdentity, so that there is none that could be written in two ways."""
        if not _TRUST_DOMAIN.fullmatch(self.trust_domain):
            raise InvalidIdentity(f"{self.trust_domain!r} is no trust domain: a-z, 0-9, '.', '_' and '-' make one")
        for what, text in (("namespace", self.namespace), ("service account", self.service_account)):
            if not _SEGMENT.fullmatch(text) or text in _DOTS:
                raise InvalidIdentity(f"{text!r} is no name of a {what}")

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Raises InvalidIdentity."""
        parts = uri.removeprefix(_SCHEME).split("/")
        if not uri.startswith(_SCHEME) or len(parts) != 5 or parts[1] != "ns" or parts[3] != "sa":
            raise InvalidIdentity(f"{uri!r} is not of the form {_SCHEME}TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT")
        return cls(parts[0], parts[2], parts[4])

    @property
    def principal(self) -> str:
        """As policies and attributes write it."""
        return f"{self.trust_domain}/ns/{self.namespace}/sa/{self.service_account}"

    def __str__(self) -> str:
        return f"{_SCHEME}{self.principal}"
