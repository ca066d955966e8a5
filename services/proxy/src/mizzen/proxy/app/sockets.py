"""The listening sockets, which the agent binds and keeps, so that a worker that dies loses no waiting connection."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mizzen.proxy.engine.plan import ListenerPlan
from mizzen.proxy.snapshot.result import Rejected, title
from mizzen.runtime.address import Address

BACKLOG = 1024
"""Connections that may wait to be accepted; the kernel caps it at net.core.somaxconn."""


@dataclass(frozen=True, slots=True)
class Held:
    """A bound socket."""

    address: Address
    socket: socket.socket


class ListeningSockets:
    """Sockets by listener name. A change is prepared with `bind`, then kept with `commit` or taken back."""

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
        self._opened: list[socket.socket] = []

    @property
    def fresh(self) -> tuple[str, ...]:
        """Listeners whose sockets the workers do not have yet."""
        return tuple(self._fresh)

    @property
    def sockets(self) -> Mapping[str, socket.socket]:
        """Those of all listeners that there are after the change."""
        return {name: held.socket for name, held in self._after().items()}

    def add(self, plan: ListenerPlan) -> Rejected | None:
        """Provide for one listener; why that is not possible, or None."""
        address = Address(plan.address, plan.port)
        current = self._owner._held.get(plan.name)
        if current is not None and current.address == address:
            return None
        for name, held in self._owner._held.items():
            if name in self._removed and held.address == address and not self._is_passed_on(held):
                self._fresh[plan.name] = held
                return None
        try:
            opened = _open(address)
        except OSError as error:
            return Rejected(title(plan), "", _explain(address, error), passing=True)
        self._opened.append(opened)
        self._fresh[plan.name] = Held(address, opened)
        return None

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
        return {name: held for name, held in self._owner._held.items() if name not in self._removed} | self._fresh

    def _is_passed_on(self, held: Held) -> bool:
        return any(entry.socket is held.socket for entry in self._fresh.values())


def _open(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    opened = socket.create_server(tuple(address), family=family, backlog=BACKLOG)
    opened.setblocking(False)
    return opened


def _explain(address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"address {address} is in use"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address.host} is not an address of this machine"
    if error.errno == errno.EACCES:
        return f"port {address.port} needs more rights than this proxy has"
    return f"cannot listen on {address}: {error.strerror or error}"
