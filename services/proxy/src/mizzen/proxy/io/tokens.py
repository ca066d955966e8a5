"""The tokens of a request's user, looked at before any policy is. ★ hot."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mizzen.proxy.engine.jwt.filter import bind_tokens
from mizzen.proxy.engine.jwt.plan import JwtPlan

if TYPE_CHECKING:
    from mizzen.proxy.base.flags import LocalReply
    from mizzen.proxy.engine.stats import JwtStats
    from mizzen.proxy.io.exchange import Exchange


class Tokens:
    """The filter jwt_authn of one listener."""

    __slots__ = ("_filter", "_stats", "_wall_clock")

    def __init__(self, plan: JwtPlan, stats: JwtStats, wall_clock: Callable[[], float] = time.time) -> None:
        """ValueError says what of the plan cannot be.

        The loop's clock will not do: it stands still while the machine sleeps, and tokens expire meanwhile.
        """
        self._filter = bind_tokens(plan)
        self._stats = stats
        self._wall_clock = wall_clock

    def refuse(self, x: Exchange) -> tuple[LocalReply, str] | None:
        """What a request with a bad token is answered, and why; None lets it go on, edited."""
        tokens, stats = self._filter, self._stats
        failure = tokens.failure(x, self._wall_clock())
        if failure is None:
            stats.allowed += 1
            return None
        stats.denied += 1
        return tokens.refusal(x, failure), f"the token of the request is not accepted: {failure}"
