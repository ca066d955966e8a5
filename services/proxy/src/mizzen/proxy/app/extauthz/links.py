"""gRPC's connections with the endpoints of authorizers: kept from question to question, and ended with the endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, NamedTuple

import grpc

from mizzen.proxy.app.channels import CLOSE_SECONDS, CONNECT_OPTION, OPTIONS
from mizzen.proxy.app.pod.http_client import Peer
from mizzen.proxy.app.pod.relay import Relay
from mizzen.runtime.address import Address

MAX_LINKS: Final = 64
_CONNECT_SECONDS: Final = 10.0
"""Where the cluster sets no limit."""


class Way(NamedTuple):
    """What a connection is kept for."""

    cluster: str
    authority: str
    address: Address


class Link(NamedTuple):
    """A connection with one endpoint, made when it is used."""

    peer: Peer
    relay: Relay
    channel: grpc.aio.Channel


class Links:
    """By way. The one that was used least recently makes room; what leaves ends its calls first."""

    def __init__(self) -> None:
        self._links: dict[Way, Link] = {}
        self._leaving: dict[asyncio.Task[None], Link] = {}
        self._opening = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._links)

    async def find(self, way: Way, peer: Peer, limit: float) -> Link:
        """The link, which is made anew where `peer` has other TLS than before. Raises OSError.

        `limit`: seconds to connect; 0 for our own.
        """
        async with self._opening:
            found = self._links.pop(way, None)
            if found is not None and not _same(found.peer, peer):
                self._leave(found)
                found = None
            if found is None:
                found = await _open(way, peer, limit or _CONNECT_SECONDS)
            self._links[way] = found  # the newest is last
            while len(self._links) > MAX_LINKS:
                self._leave(self._links.pop(next(iter(self._links))))
            return found

    def keep(self, cluster: str, addresses: Iterable[Address]) -> None:
        """The cluster has these endpoints now, and no others."""
        wanted = frozenset(addresses)
        for way in [way for way in self._links if way.cluster == cluster and way.address not in wanted]:
            self._leave(self._links.pop(way))

    async def close(self) -> None:
        """End all, whatever is under way."""
        links, self._links = [*self._links.values(), *self._leaving.values()], {}
        leaving = tuple(self._leaving)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        for link in links:
            await _end(link, 0.0)

    def _leave(self, link: Link) -> None:
        task = asyncio.create_task(_end(link, CLOSE_SECONDS))
        self._leaving[task] = link
        task.add_done_callback(self._leaving.pop)


def _same(one: Peer, other: Peer) -> bool:
    if one.security is None or other.security is None:
        return one.security is other.security
    return one.security.security is other.security.security


async def _open(way: Way, peer: Peer, limit: float) -> Link:
    relay = Relay(peer, limit)
    await relay.open()
    options = (
        *OPTIONS,
        ("grpc.default_authority", way.authority),
        (CONNECT_OPTION, int(limit * 1000) + 1000),  # of which the relay's own attempt is a part
    )
    return Link(peer, relay, grpc.aio.insecure_channel(relay.target, options))


async def _end(link: Link, grace: float) -> None:
    """The client first: nobody else may take the relay's name while it connects to it."""
    await link.channel.close(grace)
    await link.relay.close()
