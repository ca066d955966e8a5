"""Tokens that were verified before, so that the next request with one costs next to nothing. ★ hot."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from mizzen.proxy.engine.jwt.token import Token

MAX_TOKENS: Final = 1000
MAX_SIZE: Final = 8 * 1024
"""Bytes of a token; a longer one is verified each time."""


class Verified:
    """A token, and the providers whose keys have signed it."""

    __slots__ = ("providers", "token")

    def __init__(self, token: Token) -> None:
        self.token = token
        self.providers: set[str] = set()


class TokenCache:
    """The most recently used tokens whose signature was good, by their text. Times are for its users to judge."""

    __slots__ = ("_limit", "_tokens")

    def __init__(self, limit: int = MAX_TOKENS) -> None:
        self._limit = limit
        self._tokens: OrderedDict[bytes, Verified] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tokens)

    def find(self, text: bytes) -> Verified | None:
        """What is known of a token."""
        found = self._tokens.get(text)
        if found is not None:
            self._tokens.move_to_end(text)
        return found

    def keep(self, text: bytes, token: Token, provider: str) -> None:
        """The provider's keys have signed it."""
        if len(text) > MAX_SIZE:
            return
        known = self._tokens.get(text)
        if known is None:
            known = self._tokens[text] = Verified(token)
            if len(self._tokens) > self._limit:
                self._tokens.popitem(last=False)
        known.providers.add(provider)

    def drop(self, text: bytes) -> None:
        """It has expired."""
        self._tokens.pop(text, None)
