"""DNS clusters: names become addresses off the hot path, and the last good answer is kept."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_address
from typing import TypeAlias

from mizzen.proxy.engine.plan import ClusterPlan, EndpointSetPlan

log = logging.getLogger(__name__)

Lookup: TypeAlias = Callable[[str], Awaitable[list[str]]]
"""Name → addresses; OSError when it cannot be resolved, UnicodeError when it cannot be a name."""

LOOKUP_TIMEOUT = 5.0
RETRY_AFTER = 5.0
"""Seconds until a failed name is asked for again, as long as there was no good answer."""


async def look_up(name: str) -> list[str]:
    """The system's resolver, IPv4 first (Istio's V4_PREFERRED)."""
    answers = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    return [a for a in addresses if ":" not in a] or addresses


class Resolver:
    """Keeps the endpoints of one DNS cluster up to date until stopped."""

    def __init__(
        self,
        plan: ClusterPlan,
        declared: EndpointSetPlan,
        found: Callable[[EndpointSetPlan], None],
        lookup: Lookup = look_up,
    ) -> None:
        self._plan = plan
        self._declared = declared
        self._found = found
        self._lookup = lookup
        self._known: dict[str, list[str]] = {}
        self._failing: dict[str, str] = {}
        """Why the last question for a name was not answered."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """Ask no more."""
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            try:
                complete = await self.refresh()
            except Exception:
                log.exception("cluster %s: its names cannot be resolved", self._plan.name)
                complete = False
            await asyncio.sleep(max(1.0, self._plan.dns_refresh) if complete else RETRY_AFTER)

    async def refresh(self) -> bool:
        """Ask for every name once and hand on the endpoints; False when a name has no address at all."""
        declared = self._declared.endpoints
        answers = await asyncio.gather(*(self._addresses(endpoint.address) for endpoint in declared))
        endpoints = [
            replace(endpoint, address=address)
            for endpoint, addresses in zip(declared, answers, strict=True)
            for address in addresses
        ]
        self._found(EndpointSetPlan(self._declared.name, tuple(endpoints)))
        return all(answers)

    async def _addresses(self, name: str) -> list[str]:
        try:
            ip_address(name)
        except ValueError:
            pass
        else:
            return [name]
        try:
            self._known[name] = await asyncio.wait_for(self._lookup(name), LOOKUP_TIMEOUT)
        except (OSError, TimeoutError, UnicodeError) as error:
            self._complain(name, str(error) or "no answer")
        else:
            self._failing.pop(name, None)
        return self._known.get(name, [])

    def _complain(self, name: str, reason: str) -> None:
        if self._failing.get(name) != reason:
            self._failing[name] = reason
            log.warning("cluster %s: %s does not resolve: %s", self._plan.name, name, reason)
