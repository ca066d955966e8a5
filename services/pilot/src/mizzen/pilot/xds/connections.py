"""The clients that are connected now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from mizzen.pilot.generate.typeurls import ENDPOINT
from mizzen.pilot.push.queue import Push, PushQueue
from mizzen.pilot.snapshot.proxy import Proxy
from mizzen.pilot.xds.session import Session
from mizzen.proto import status_pb2


@dataclass(slots=True, eq=False)
class Connection:
    """One stream of one client."""

    id: str
    """Node id and a number, because a client that reconnects may be here twice for a moment."""
    proxy: Proxy
    session: Session
    address: str
    """Of the peer, as gRPC writes it: ipv4:127.0.0.1:40000."""
    version: str
    """What the client says it runs."""
    since: float
    """Unix time."""
    unsupported: tuple[status_pb2.UnsupportedField, ...] = ()
    """Accepted fields without effect, as a proxy of ours reports them."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a request or a push waits."""
    busy: bool = True
    """Its stream computes or writes."""


class Connections:
    """All connections, and the pushes that wait for them."""

    def __init__(self) -> None:
        self._by_id: dict[str, Connection] = {}
        self._pushes = PushQueue()
        self._count = 0

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def new_id(self, node_id: str) -> str:
        """An id that no other connection of this process has."""
        self._count += 1
        return f"{node_id}-{self._count}"

    def add(self, connection: Connection) -> None:
        """A client is here."""
        self._by_id[connection.id] = connection

    def remove(self, connection: Connection) -> None:
        """A client is gone, and what waited for it too."""
        del self._by_id[connection.id]
        self._pushes.take(connection.id)

    def push(self, connection: Connection, push: Push) -> None:
        """Have a client hear of a change as soon as its stream is free; one that is gone meanwhile hears nothing."""
        if connection.id not in self._by_id:
            return
        self._pushes.add(connection.id, push)
        connection.wake.set()

    def behind(self) -> list[Connection]:
        """Clients that have not answered all that concerns them, or refused endpoints."""
        return [connection for connection in self if self._is_behind(connection)]

    def _is_behind(self, connection: Connection) -> bool:
        if connection.busy or self.has_push(connection) or not connection.session.converged:
            return True
        endpoints = connection.session.watches.get(ENDPOINT)
        return endpoints is not None and not endpoints.accepted

    def has_push(self, connection: Connection) -> bool:
        """Something waits for a client."""
        return connection.id in self._pushes

    def take_push(self, connection: Connection) -> Push | None:
        """What waits for a client."""
        return self._pushes.take(connection.id)
