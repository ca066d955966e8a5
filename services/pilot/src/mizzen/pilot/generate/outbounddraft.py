"""An outbound listener while services are added to it, oldest first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mizzen.pilot.base.protocol import Protocol
from mizzen.pilot.generate import names
from mizzen.pilot.generate.hcm import HttpInputs, http_protocols
from mizzen.pilot.generate.listener import OUTBOUND, HttpChain, ListenerInputs
from mizzen.pilot.generate.node import Node
from mizzen.pilot.generate.outboundplaces import Place
from mizzen.pilot.generate.tcp import ANY, RAW, ChainMatch, TcpChain


@dataclass(slots=True)
class Draft:
    """Settles what a listener does for several services: HTTP and TCP share it, the first with a match has it."""

    place: Place
    port: int
    locked: bool = False
    """A Sidecar resource asked for it by its port: nothing else is added."""
    route: str = ""
    """Route configuration of its HTTP chain; empty when it has none."""
    grpc_web: bool = False
    first: Protocol | None = None
    tcp: dict[ChainMatch, TcpChain] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return names.listener(self.place.addresses[0], self.port)

    def add_http(self, spoken: Protocol, route: str) -> None:
        """Take HTTP, whose services the route configuration tells apart."""
        if self._goes_with(spoken):
            self.route = self.route or route
            self.grpc_web = self.grpc_web or spoken is Protocol.GRPC_WEB

    def add_tcp(self, spoken: Protocol, chains: Iterable[TcpChain]) -> None:
        """Take what chains match and no earlier one does."""
        if self._goes_with(spoken):
            for chain in chains:
                self.tcp.setdefault(chain.match, chain)

    def _goes_with(self, spoken: Protocol) -> bool:
        """Where the server speaks first, nothing may wait for what the client says."""
        self.first = self.first or spoken
        return self.first is spoken or not (self.first.server_speaks_first or spoken.server_speaks_first)

    def finish(self, node: Node, fallthrough: TcpChain) -> ListenerInputs:
        """The listener; `fallthrough` takes what it has no chain for."""
        chains: list[HttpChain | TcpChain] = [chain for match, chain in self.tcp.items() if match != ANY]
        default = self.tcp.get(ANY)
        if self.route:
            # Where anything may arrive, HTTP is told from the rest by looking at the first bytes.
            mixed = bool(self.tcp) or (self.place.shared and not self.place.bound)
            match = ChainMatch(transport=RAW, protocols=http_protocols(node.proxy)) if mixed else ANY
            chains.append(HttpChain(match, self._http(node), self.route))
            if mixed and default is None:
                default = fallthrough
        elif not chains and default is not None:
            chains, default = [default], None
        elif default is None:
            default = fallthrough
        return ListenerInputs(
            self.name, self.place.addresses[0], self.port, OUTBOUND, tuple(chains), node.mesh.settings,
            default=default, bind=self.place.bound, additional=self.place.addresses[1:],
        )  # fmt: skip

    def _http(self, node: Node) -> HttpInputs:
        return HttpInputs(
            stat_prefix=f"outbound_{self.name};",
            grpc_web=self.grpc_web,
            accept_http_10=node.proxy.accept_http_10,
            idle_timeout=node.proxy.idle_timeout,
        )
