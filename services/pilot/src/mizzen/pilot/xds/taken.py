"""What connected proxies have accepted of what they were sent, for decisions that must wait for them."""

from __future__ import annotations

from mizzen.pilot.generate.typeurls import CLUSTER, ENDPOINT, LISTENER
from mizzen.pilot.snapshot.staging import Taken
from mizzen.pilot.snapshot.uncertified import able
from mizzen.pilot.xds.connections import Connection, Connections
from mizzen.pilot.xds.metrics import short_name


def taken(connections: Connections) -> tuple[Taken, ...]:
    """One for each connection."""
    behind = frozenset(connection.id for connection in connections.behind())
    return tuple(_taken(connection, connection.id in behind) for connection in connections)


def _taken(connection: Connection, behind: bool) -> Taken:
    proxy = connection.proxy
    return Taken(
        f"{proxy.name}.{proxy.namespace}",
        proxy.addresses,
        able(proxy),
        _late(connection, (LISTENER,), behind=behind),
        # Who has its listeners has asked for the endpoints before, if its clusters have any.
        _late(connection, (CLUSTER, LISTENER), behind=behind) or _late(connection, (ENDPOINT,), optional=True),
    )


def _late(connection: Connection, types: tuple[str, ...], *, behind: bool = False, optional: bool = False) -> str:
    watches = connection.session.watches
    for type_url in types:
        watch = watches.get(type_url)
        if watch is None:
            if not optional:
                return f"has not asked for {short_name(type_url)}"
        elif not watch.accepted:
            return f"refused {short_name(type_url)}: {watch.error}" if watch.error else "has not answered"
    return "has not answered" if behind else ""
