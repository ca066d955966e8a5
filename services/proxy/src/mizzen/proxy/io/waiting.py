"""What keeps a request from going on. ★ hot."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mizzen.proxy.io.exchange import Exchange


class Waiting:
    """A question about a request that is not answered yet."""

    __slots__ = ()

    def cancel(self, x: Exchange) -> None:
        """The request waits no longer."""
        raise NotImplementedError

    def wants_body(self, x: Exchange) -> bool:
        """More of the body has come; whether the question is for still more of it."""
        return False

    def body_ended(self, x: Exchange) -> None:
        """The body has come whole."""
