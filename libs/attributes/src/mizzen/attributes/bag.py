"""Where expressions and clients look attributes up."""

from __future__ import annotations

from typing import Protocol

from mizzen.attributes.values import Value


class Bag(Protocol):
    """The attributes of one request."""

    def get(self, name: str, /) -> Value | None:
        """The attribute's value; None where the request does not carry it."""

    def lookup(self, name: str, key: str, /) -> str | None:
        """The entry of a STRING_MAP attribute; None where map or key is absent.

        Apart from `get`, because what a decision has read decides what it can be cached by: the key, not the whole map.
        """
