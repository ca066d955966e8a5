"""Outbound listeners of sidecars."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mizzen.api.types import CaptureMode
from mizzen.pilot.base import protocol
from mizzen.pilot.base.protocol import Protocol
from mizzen.pilot.generate import names
from mizzen.pilot.generate.failure import describe
from mizzen.pilot.generate.harvest import Harvest
from mizzen.pilot.generate.hcm import HttpInputs
from mizzen.pilot.generate.listener import OUTBOUND, HttpChain, ListenerInputs, forward
from mizzen.pilot.generate.node import LOCALHOST, Node
from mizzen.pilot.generate.tcp import ANY, RAW, ChainMatch, TcpChain
from mizzen.pilot.generate.tcproutes import TcpContext, service_chains
from mizzen.pilot.snapshot.scope import Egress
from mizzen.pilot.snapshot.service import Port, Service
from mizzen.pilot.snapshot.virtualservice import MESH


@dataclass(slots=True)
class _Draft:
    """A listener while services are added to it, oldest first."""

    address: str
    port: int
    captured: bool
    route: str = ""
    """Route configuration of its HTTP chain; empty when it has none."""
    grpc_web: bool = False
    server_first: bool = False
    sniffed: bool = False
    tcp: dict[ChainMatch, TcpChain] = field(default_factory=dict)
    additional: tuple[str, ...] = ()


class OutboundListeners:
    """Collects the outbound listeners of one sidecar and settles which service gets a contested port."""

    def __init__(self, node: Node, harvest: Harvest) -> None:
        self._node = node
        self._harvest = harvest
        self._broken: dict[int, str] = {}
        """Why something could not be added to the listeners of a port, which stay out as they are incomplete."""
        self._drafts: dict[tuple[str, int], _Draft] = {}
        self._locked: set[int] = set()
        self._context = TcpContext(frozenset({MESH}), node.proxy.namespace, node.labels, node.scope, node.mesh.rules)

    def collect(self) -> list[ListenerInputs]:
        """All outbound listeners: per service port, the HTTP proxy, the one that takes captured connections."""
        for egress in self._node.scope.egress:
            if egress.port is not None:
                with self._adding(egress.port):
                    self._add_explicit(egress)
        if not self._node.proxy.app_address:
            for egress in self._node.scope.egress:
                if egress.port is None:
                    self._add_implicit(egress)
        found: list[ListenerInputs] = []
        for port in self._broken:
            self._draft(self._node.wildcard, port, captured=False)  # at least this one would be there
        for draft in self._drafts.values():
            name = names.listener(draft.address, draft.port)
            if draft.port in self._broken:
                self._harvest.made.failures[name] = self._broken[draft.port]
                continue
            with self._harvest.guard(name):
                found.append(self._finish(draft))
        if self._node.http_proxy_port:
            found.append(self._http_proxy())
        if self._node.proxy.captures:
            found.append(self._virtual_outbound())
        return found

    @contextmanager
    def _adding(self, port: int, *origins: str) -> Iterator[None]:
        """What raises inside keeps the listeners of a port from being changed."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - told for every listener of the port
            self._broken.setdefault(port, describe(error, *origins))

    def _add_explicit(self, egress: Egress) -> None:
        listener = egress.listener
        if listener is None or listener.port is None:
            return
        number = listener.port.number
        captured = self._node.proxy.captures and listener.capture_mode is not CaptureMode.NONE
        bind = listener.bind or (self._node.wildcard if captured or self._node.proxy.bind_address else LOCALHOST)
        spoken = protocol.parse(listener.port.protocol)
        self._locked.add(number)
        if spoken.is_http or spoken is Protocol.UNSUPPORTED:
            draft = self._draft(bind, number, captured=captured)
            draft.route = bind.removeprefix("unix://") if bind.startswith("unix://") else str(number)
            return
        for service in egress.services:
            for port in service.ports:
                if port.number == number:
                    self._add_tcp(self._draft(bind, number, captured=captured), service, port, egress, ())

    def _add_implicit(self, egress: Egress) -> None:
        for service in egress.services:
            for port in service.ports:
                if port.protocol is not Protocol.UDP and port.number not in self._locked:
                    with self._adding(port.number, service.origin):
                        self._add_port(service, port, egress)

    def _add_port(self, service: Service, port: Port, egress: Egress) -> None:
        captured = self._node.proxy.captures
        if port.protocol.is_http:
            self._add_http(self._draft(self._node.wildcard, port.number, captured=captured), str(port.number), port)
            return
        single = [address for address in service.addresses if _is_ip(address)] if captured else []
        if captured and service.headless and service.kubernetes:
            own = set(self._node.proxy.addresses)
            pods = (e.address for e in self._node.mesh.endpoints_of(service, port.name) if e.address not in own)
            for address in dict.fromkeys(pods):
                self._add_opaque(self._draft(address, port.number, captured=True), service, port, egress, ())
        elif single:
            draft = self._draft(single[0], port.number, captured=True)
            draft.additional = tuple(single[1:])
            self._add_opaque(draft, service, port, egress, ())
        else:
            ranges = tuple(address for address in service.addresses if not _is_ip(address)) if captured else ()
            draft = self._draft(self._node.wildcard, port.number, captured=captured)
            self._add_opaque(draft, service, port, egress, ranges)

    def _add_opaque(self, draft: _Draft, service: Service, port: Port, egress: Egress, ranges: tuple[str, ...]) -> None:
        if port.protocol is not Protocol.UNSUPPORTED:
            self._add_tcp(draft, service, port, egress, ranges)
            return
        shared = draft.address == self._node.wildcard
        if not draft.route:
            self._add_http(draft, str(port.number) if shared else f"{service.hostname}:{port.number}", port)
        if not shared:
            draft.sniffed = True
            self._add_tcp(draft, service, port, egress, ranges)

    def _add_http(self, draft: _Draft, route: str, port: Port) -> None:
        if draft.server_first:
            return  # waiting for a request that never comes first would stall it
        draft.route = draft.route or route
        draft.grpc_web = draft.grpc_web or port.protocol is Protocol.GRPC_WEB

    def _add_tcp(self, draft: _Draft, service: Service, port: Port, egress: Egress, ranges: tuple[str, ...]) -> None:
        if port.protocol.server_speaks_first:
            if draft.route:
                return
            draft.server_first = True
        for chain in service_chains(service, port, egress.routings, ranges, self._context):
            draft.tcp.setdefault(chain.match, chain)

    def _draft(self, address: str, port: int, *, captured: bool) -> _Draft:
        return self._drafts.setdefault((address, port), _Draft(address, port, captured))

    def _finish(self, draft: _Draft) -> ListenerInputs:
        name = names.listener(draft.address, draft.port)
        settings = self._node.mesh.settings
        any_tcp = draft.tcp.pop(ANY, None)
        chains: list[HttpChain | TcpChain] = list(draft.tcp.values())
        sniff_tls = any(chain.match.server_names or chain.match.transport for chain in draft.tcp.values())
        if not draft.route:
            default = any_tcp
            if default is None and draft.captured and draft.address == self._node.wildcard:
                default = self._fallthrough()
            if not chains and default is not None:
                chains, default = [default], None
            return ListenerInputs(
                name, draft.address, draft.port, OUTBOUND, tuple(chains), settings, default=default,
                bind=not draft.captured, additional=draft.additional, sniff_tls=sniff_tls,
            )  # fmt: skip
        http = HttpInputs(
            stat_prefix=f"outbound_{name};",
            grpc_web=draft.grpc_web,
            accept_http_10=self._node.proxy.accept_http_10,
            idle_timeout=self._node.proxy.idle_timeout,
        )
        # Where anything may arrive, HTTP is told from the rest by looking at the first bytes.
        mixed = draft.captured or any_tcp is not None or bool(chains)
        if not mixed:
            chains = [HttpChain(ANY, http, draft.route)]
            return ListenerInputs(name, draft.address, draft.port, OUTBOUND, tuple(chains), settings, bind=True)
        known = ("http/1.0", "http/1.1", "h2c") if http.accept_http_10 else ("http/1.1", "h2c")
        chains.append(HttpChain(ChainMatch(transport=RAW, protocols=known), http, draft.route))
        return ListenerInputs(
            name, draft.address, draft.port, OUTBOUND, tuple(chains), settings,
            default=any_tcp or self._fallthrough(), bind=not draft.captured, additional=draft.additional,
            sniff_tls=True, sniff_http=True,
        )  # fmt: skip

    def _fallthrough(self) -> TcpChain:
        return forward(self._node.fallback or names.BLACK_HOLE, name="PassthroughFilterChain")

    def _http_proxy(self) -> ListenerInputs:
        port = self._node.http_proxy_port
        address = self._node.proxy.bind_address or LOCALHOST
        http = HttpInputs(
            stat_prefix=f"outbound_{address}_{port};",
            accept_http_10=self._node.proxy.accept_http_10,
            idle_timeout=self._node.proxy.idle_timeout,
        )
        chain = HttpChain(ANY, http, names.HTTP_PROXY_ROUTE)
        return ListenerInputs(
            names.listener(address, port), address, port, OUTBOUND, (chain,), self._node.mesh.settings
        )

    def _virtual_outbound(self) -> ListenerInputs:
        settings = self._node.mesh.settings
        port = settings.proxy_listen_port
        loop = forward(names.BLACK_HOLE, ChainMatch(port=port), "virtualOutbound-blackhole")
        rest = forward(self._node.fallback or names.BLACK_HOLE, name="virtualOutbound-catchall-tcp")
        return ListenerInputs(
            names.VIRTUAL_OUTBOUND, self._node.wildcard, port, OUTBOUND, (loop, rest), settings,
            capture=True, log_unmatched=True,
        )  # fmt: skip


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
