"""Which listener a redirected connection belongs to: the one of its original destination."""

from __future__ import annotations

from collections.abc import Iterable

from mizzen.proxy.engine.plan import ListenerPlan

_WILDCARDS = {4: "0.0.0.0", 6: "::"}


class HandOff:
    """Listeners by address. Source: Envoy's ConnectionHandlerImpl::getBalancedHandlerByAddress."""

    __slots__ = ("_by_address",)

    def __init__(self, plans: Iterable[ListenerPlan]) -> None:
        self._by_address = {address: plan.name for plan in plans for address in plan.addresses}

    def find(self, destination: tuple[str, int]) -> str | None:
        """The listener's name: that of the very address, else of the wildcard address with the port."""
        host, port = destination
        found = self._by_address.get(destination)
        return found or self._by_address.get((_WILDCARDS[6 if ":" in host else 4], port))
