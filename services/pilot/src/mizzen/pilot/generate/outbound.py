"""Outbound listeners of sidecars."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mizzen.pilot.base import protocol
from mizzen.pilot.base.protocol import Protocol
from mizzen.pilot.generate import names
from mizzen.pilot.generate.failure import describe
from mizzen.pilot.generate.harvest import Harvest
from mizzen.pilot.generate.hcm import HttpInputs
from mizzen.pilot.generate.listener import OUTBOUND, HttpChain, ListenerInputs, forward
from mizzen.pilot.generate.node import Node
from mizzen.pilot.generate.outbounddraft import Draft
from mizzen.pilot.generate.outboundplaces import Place, places, shared_place
from mizzen.pilot.generate.tcp import ANY, ChainMatch, TcpChain
from mizzen.pilot.generate.tcproutes import TcpContext, service_chains
from mizzen.pilot.snapshot.scope import Egress
from mizzen.pilot.snapshot.service import Port, Service
from mizzen.pilot.snapshot.virtualservice import MESH


class OutboundListeners:
    """Collects the outbound listeners of one sidecar and settles which service gets a contested port."""

    def __init__(self, node: Node, harvest: Harvest) -> None:
        self._node = node
        self._harvest = harvest
        self._broken: dict[int, str] = {}
        """Why something could not be added to the listeners of a port, which stay out as they are incomplete."""
        self._drafts: dict[tuple[str, int], Draft] = {}
        self._context = TcpContext(
            gateways=frozenset({MESH}),
            namespace=node.proxy.namespace,
            labels=node.labels,
            scope=node.scope,
            rules=node.mesh.rules,
            idle_timeout=node.proxy.idle_timeout,
        )

    def collect(self) -> list[ListenerInputs]:
        """All outbound listeners: per service port, the HTTP proxy, the one that takes captured connections."""
        stated = [egress for egress in self._node.scope.egress if egress.port is not None]
        for egress in stated:
            self._add_egress(egress)
        for draft in self._drafts.values():
            draft.locked = True
        if not self._node.proxy.app_address:
            for egress in self._node.scope.egress:
                if egress.port is None:
                    self._add_egress(egress)
        found = self._finished()
        if self._node.http_proxy_port:
            found.append(self._http_proxy())
        if self._node.proxy.captures:
            found.append(self._virtual_outbound())
        return found

    def _finished(self) -> list[ListenerInputs]:
        found: list[ListenerInputs] = []
        for port in self._broken.keys() - {draft.port for draft in self._drafts.values()}:
            self._draft(shared_place(self._node, None), port)  # one must be named
        fallthrough = self._fallthrough("PassthroughFilterChain")
        for draft in self._drafts.values():
            if draft.port in self._broken:
                self._harvest.made.failures[draft.name] = self._broken[draft.port]
                continue
            with self._harvest.guard(draft.name):
                found.append(draft.finish(self._node, fallthrough))
        return found

    @contextmanager
    def _adding(self, port: int, *origins: str) -> Iterator[None]:
        """What raises inside keeps the listeners of a port from being changed."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - told for every listener of the port
            self._broken.setdefault(port, describe(error, *origins))

    def _add_egress(self, egress: Egress) -> None:
        stated = egress.listener.port if egress.listener is not None else None
        for service in egress.services:
            ports = service.ports
            if stated is not None:
                ports = (Port(stated.number, stated.name, protocol.parse(stated.protocol)),)
            for port in ports:
                if port.protocol is not Protocol.UDP:
                    with self._adding(port.number, service.origin):
                        self._add_port(service, port, egress)

    def _add_port(self, service: Service, port: Port, egress: Egress) -> None:
        if port.protocol.is_http:
            place = shared_place(self._node, egress.listener)
            draft = self._unlocked(place, port, service)
            if draft is not None:
                draft.add_http(port.protocol, _route(place, port))
        elif not (service.external_name and self._node.proxy.captures):
            for place in places(self._node, service, port, egress):
                draft = self._unlocked(place, port, service)
                if draft is not None:
                    self._add_opaque(draft, place, service, port, egress)

    def _add_opaque(self, draft: Draft, place: Place, service: Service, port: Port, egress: Egress) -> None:
        sniffed = port.protocol is Protocol.UNSUPPORTED
        if sniffed:
            own = f"{service.hostname}:{port.number}"
            draft.add_http(port.protocol, _route(place, port) if place.shared else own)
        if not (sniffed and place.bound):  # without capture a port without a protocol is HTTP for all its services
            chains = service_chains(
                service, port, egress.routings, self._context, destination=place.destination, by_name=place.by_name
            )
            draft.add_tcp(port.protocol, chains)

    def _unlocked(self, place: Place, port: Port, service: Service) -> Draft | None:
        """The draft to add a service to; None where it must not be added."""
        if place.addresses == self._node.wildcards and port.number in self._node.reserved:
            name = names.listener(place.addresses[0], port.number)
            self._harvest.made.failures[name] = f"{service.origin}: the proxy itself listens on port {port.number}"
            return None
        draft = self._draft(place, port.number)
        return None if draft.locked else draft

    def _draft(self, place: Place, port: int) -> Draft:
        return self._drafts.setdefault((place.addresses[0], port), Draft(place, port))

    def _fallthrough(self, name: str) -> TcpChain:
        cluster = self._node.fallback or names.BLACK_HOLE
        return forward(cluster, ANY, name, self._node.proxy.idle_timeout)

    def _http_proxy(self) -> ListenerInputs:
        port = self._node.http_proxy_port
        address, *others = self._node.localhosts
        http = HttpInputs(
            stat_prefix=f"outbound_{address}_{port};",
            accept_http_10=self._node.proxy.accept_http_10,
            idle_timeout=self._node.proxy.idle_timeout,
        )
        chain = HttpChain(ANY, http, names.HTTP_PROXY_ROUTE)
        return ListenerInputs(
            names.listener(address, port), address, port, OUTBOUND, (chain,), self._node.mesh.settings,
            additional=tuple(others),
        )  # fmt: skip

    def _virtual_outbound(self) -> ListenerInputs:
        settings = self._node.mesh.settings
        port = settings.proxy_listen_port
        address, *others = self._node.wildcards
        loop = forward(names.BLACK_HOLE, ChainMatch(port=port), "virtualOutbound-blackhole")
        rest = self._fallthrough("virtualOutbound-catchall-tcp")
        return ListenerInputs(
            names.VIRTUAL_OUTBOUND, address, port, OUTBOUND, (loop, rest), settings, capture=True,
            transparent=self._node.proxy.transparent, additional=tuple(others), log_unmatched=True,
        )  # fmt: skip


def _route(place: Place, port: Port) -> str:
    """The route configuration that a place shares with others of its port; a Unix socket's is called like its path."""
    address = place.addresses[0]
    return address.removeprefix("unix://") if address.startswith("unix://") else str(port.number)
