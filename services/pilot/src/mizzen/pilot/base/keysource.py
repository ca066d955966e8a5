"""Where the keys are that the tokens of an issuer are signed with."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit


class KeySource(NamedTuple):
    """A JSON Web Key Set that is published somewhere."""

    issuer: str
    uri: str
    """Empty: the issuer tells, by OpenID Connect Discovery."""

    @property
    def shown(self) -> str:
        """How people are told of it: without a password or a query, which may be a secret."""
        try:
            parts = urlsplit(self.uri or self.issuer)
        except ValueError:
            return "an address that is no URL"
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else parts.path
