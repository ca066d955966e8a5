"""Mixer in the filter chains of listeners."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mizzen.pilot.generate import names
from mizzen.pilot.generate.inbound import inbound_ports
from mizzen.pilot.generate.listener import INBOUND, HttpChain, ListenerInputs
from mizzen.pilot.generate.mixer.attributes import client_attributes, server_attributes, service_attributes
from mizzen.pilot.generate.mixer.use import Side, Use, use
from mizzen.pilot.generate.node import Node
from mizzen.pilot.generate.tcp import TcpChain
from mizzen.pilot.snapshot.service import Service


class MixerChains:
    """Adds Mixer to what else the listeners of one proxy do."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._inbound = use(node, Side.INBOUND)
        self._outbound = use(node, Side.GATEWAY if node.proxy.type == "router" else Side.OUTBOUND)
        self._own: dict[str, Service] = {}
        """The first service of each inbound cluster."""
        if self._inbound is not None and node.proxy.type != "router":
            ports = (port for port in inbound_ports(node) if port.services)
            self._own = {names.inbound(port.number): port.services[0] for port in ports}

    def add(self, inputs: ListenerInputs) -> ListenerInputs:
        """The listener with Mixer in every chain that leads somewhere; unchanged where Mixer has no part."""
        if self._inbound is None or self._outbound is None:
            return inputs
        inbound = inputs.direction == INBOUND
        chains = tuple(self._chain(chain, inbound=inbound) for chain in inputs.chains)
        default = self._tcp(inputs.default, inbound=inbound) if inputs.default is not None else None
        return replace(inputs, chains=chains, default=default)

    def _chain(self, chain: HttpChain | TcpChain, *, inbound: bool) -> HttpChain | TcpChain:
        if isinstance(chain, TcpChain):
            return self._tcp(chain, inbound=inbound)
        if isinstance(chain.routes, str):
            return replace(chain, http=replace(chain.http, mixer=self._outgoing(None)))
        found = self._incoming(chain.routes.cluster)
        return replace(chain, http=replace(chain.http, mixer=found), routes=replace(chain.routes, mixer=found))

    def _tcp(self, chain: TcpChain, *, inbound: bool) -> TcpChain:
        clusters = [cluster for cluster, _ in chain.tcp.clusters]
        if names.BLACK_HOLE in clusters:
            return chain
        found = self._incoming(clusters[0]) if inbound else self._outgoing(self._target(clusters))
        return replace(chain, tcp=replace(chain.tcp, mixer=found))

    def _target(self, clusters: Iterable[str]) -> Service | None:
        """The service of clusters that all belong to one."""
        hosts = {parsed.host for cluster in clusters if (parsed := names.parse_cluster(cluster)) is not None}
        return self._node.scope.service(hosts.pop()) if len(hosts) == 1 else None

    def _outgoing(self, service: Service | None) -> Use | None:
        if self._outbound is None:
            return None
        stated = service_attributes(service) if service is not None else ()
        return replace(self._outbound, attributes=client_attributes(self._node.proxy), service=stated)

    def _incoming(self, cluster: str) -> Use | None:
        if self._inbound is None:
            return None
        parsed = names.parse_cluster(cluster)
        found = replace(
            self._inbound, attributes=server_attributes(self._node.proxy, parsed.port if parsed is not None else 0)
        )
        service = self._own.get(cluster)
        if service is None:
            return found
        policy = self._node.mesh.policy
        return replace(
            found,
            service=service_attributes(service),
            quotas=policy.quotas_of(service.hostname),
            apis=policy.apis_of(service.hostname),
        )
