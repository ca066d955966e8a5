"""Where the keys are that the tokens of an issuer are signed with."""

from __future__ import annotations

from typing import NamedTuple


class KeySource(NamedTuple):
    """A JSON Web Key Set that is published somewhere."""

    issuer: str
    uri: str
    """Empty: the issuer tells, by OpenID Connect Discovery."""
