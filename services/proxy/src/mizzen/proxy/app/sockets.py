"""The listening sockets, which the agent binds and keeps, so that a worker that dies loses no waiting connection."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from mizzen.proxy.engine.plan import ListenerPlan
from mizzen.proxy.snapshot.result import Rejected, title
from mizzen.runtime.address import Address

BACKLOG = 1024
"""Connections that may wait to be accepted; the kernel caps it at net.core.somaxconn."""


SocketOptions: TypeAlias = tuple[tuple[int, int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A bound socket."""

    listener: str
    address: Address
    options: SocketOptions
    socket: socket.socket


class ListeningSockets:
    """Sockets by the names that plans give them.

    A change is prepared with `bind`, then kept with `commit` or taken back.
    """

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}

    def bind(self, plans: Iterable[ListenerPlan], removed: Iterable[str]) -> tuple[Binding, tuple[Rejected, ...]]:
        """Open what new or moved listeners need; listeners whose address cannot be had are rejected.

        An address that a removed listener had is passed on together with its waiting connections.
        """
        binding = Binding(self, frozenset(removed))
        rejected = [problem for plan in plans if (problem := binding.add(plan)) is not None]
        return binding, tuple(rejected)

    def close(self) -> None:
        """Close all."""
        for held in self._held.values():
            held.socket.close()
        self._held.clear()


class Binding:
    """A prepared change of the listening sockets."""

    def __init__(self, owner: ListeningSockets, removed: frozenset[str]) -> None:
        self._owner = owner
        self._removed = removed
        self._fresh: dict[str, Held] = {}
        self._dropped: set[str] = set()
        """Names of sockets that their listeners need no more."""
        self._opened: list[socket.socket] = []

    @property
    def fresh(self) -> tuple[str, ...]:
        """Names of the sockets that the workers do not have yet, or need with those."""
        return tuple(self._fresh)

    @property
    def sockets(self) -> Mapping[str, socket.socket]:
        """Those of all listeners that there are after the change."""
        return {name: held.socket for name, held in self._after().items()}

    def add(self, plan: ListenerPlan) -> Rejected | None:
        """Provide for one listener; why that is not possible, or None."""
        wanted = {key: Address(host, port) for key, (host, port) in plan.sockets.items()}
        current = {key: held for key, held in self._owner._held.items() if held.listener == plan.name}
        kept = {
            key: held
            for key, held in current.items()
            if key in wanted and held.address == wanted[key] and held.options == plan.socket_options
        }
        if kept.keys() == wanted.keys() == current.keys():
            return None
        found: dict[str, Held] = {}
        before = len(self._opened)
        for key, address in wanted.items():
            try:
                found[key] = kept.get(key) or self._passed_on(plan, address) or self._open(plan, address)
            except OSError as error:
                for opened in self._opened[before:]:
                    opened.close()
                return Rejected(title(plan), "", _explain(address, error), passing=True)
        self._fresh |= found
        self._dropped |= current.keys() - wanted.keys()
        return None

    def _passed_on(self, plan: ListenerPlan, address: Address) -> Held | None:
        """A socket of a listener that goes, with its waiting connections."""
        for held in self._owner._held.values():
            goes = held.listener in self._removed and not self._is_passed_on(held)
            if goes and (held.address, held.options) == (address, plan.socket_options):
                return replace(held, listener=plan.name)
        return None

    def _open(self, plan: ListenerPlan, address: Address) -> Held:
        opened = _open(address, plan.socket_options)
        self._opened.append(opened)
        return Held(plan.name, address, plan.socket_options, opened)

    def commit(self) -> None:
        """The workers took it: close what nobody listens on any more."""
        after = self._after()
        kept = {held.socket for held in after.values()}
        for held in self._owner._held.values():
            if held.socket not in kept:
                held.socket.close()
        self._owner._held = after

    def take_back(self) -> None:
        """The workers refused: close what was opened for them."""
        for opened in self._opened:
            opened.close()

    def _after(self) -> dict[str, Held]:
        kept = {
            key: held
            for key, held in self._owner._held.items()
            if held.listener not in self._removed and key not in self._dropped
        }
        return kept | self._fresh

    def _is_passed_on(self, held: Held) -> bool:
        return any(entry.socket is held.socket for entry in self._fresh.values())


def _open(address: Address, options: SocketOptions) -> socket.socket:
    """A listening socket, as socket.create_server makes it, with options set before it is bound."""
    opened = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if opened.family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for level, option, value in options:
            opened.setsockopt(level, option, value)
        opened.bind(tuple(address))
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    opened.setblocking(False)
    return opened


def _explain(address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"address {address} is in use"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address.host} is not an address of this machine"
    if error.errno == errno.EPERM:
        return f"the socket options of {address} (transparent?) need CAP_NET_ADMIN, which this proxy does not have"
    if error.errno == errno.EACCES:
        return f"port {address.port} needs more rights than this proxy has"
    return f"cannot listen on {address}: {error.strerror or error}"
