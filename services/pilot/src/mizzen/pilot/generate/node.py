"""One proxy in one mesh: what generators need to know about the two together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from mizzen.api.sidecar import OutboundTrafficMode, Sidecar
from mizzen.pilot.base import host as hosts
from mizzen.pilot.base.labels import Labels
from mizzen.pilot.generate import names
from mizzen.pilot.snapshot.destinationrule import Rule
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.proxy import Proxy
from mizzen.pilot.snapshot.scope import Scope
from mizzen.pilot.snapshot.service import Service
from mizzen.pilot.snapshot.targets import Target, targets

WILDCARD = "0.0.0.0"
LOCALHOST = "127.0.0.1"


@dataclass(frozen=True)
class Node:
    """Derives the inputs of generators; lives for one call of `generate`."""

    proxy: Proxy
    mesh: Mesh

    @cached_property
    def scope(self) -> Scope:
        """What the proxy reaches; Sidecar resources mean nothing to a gateway."""
        if self.proxy.type == "router":
            return self.mesh.open_scope(self.proxy.namespace)
        return self.mesh.scope(self.proxy.namespace, self.proxy.labels)

    @cached_property
    def sidecar(self) -> Sidecar | None:
        """The spec of the Sidecar resource that applies."""
        return self.scope.sidecar.spec if self.scope.sidecar is not None else None

    @cached_property
    def labels(self) -> Labels:
        """The proxy's labels as far as any config asks for them, so that proxies alike share what is generated."""
        return frozenset(pair for pair in self.proxy.labels if pair[0] in self.mesh.label_keys)

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """The services that the proxy itself stands for."""
        return targets(self.mesh, self.proxy)

    @cached_property
    def mixers(self) -> Mapping[str, Service]:
        """Mixer's services by host that are out of scope, because a Sidecar resource does not know of them."""
        found = (self.mesh.by_host.get(host, ()) for host in sorted(self.mesh.settings.mixer_hosts))
        return {s.hostname: s for services in found for s in services[:1] if self.scope.service(s.hostname) is None}

    def rule(self, service: Service) -> Rule | None:
        return self.mesh.rule(service, self.proxy.namespace, self.labels)

    @cached_property
    def fallback(self) -> str:
        """The cluster of traffic for unknown services; empty when it is refused."""
        settings = self.mesh.settings
        allowed = settings.outbound_traffic_policy == "ALLOW_ANY"
        stated = self.sidecar.outbound_traffic_policy if self.sidecar is not None else None
        if stated is not None:
            allowed = stated.mode is OutboundTrafficMode.ALLOW_ANY
            if stated.egress_proxy is not None and stated.egress_proxy.port is not None:
                target = stated.egress_proxy
                host = hosts.resolve(target.host, self.proxy.namespace, settings.domain_suffix)
                return names.outbound(stated.egress_proxy.port.number, target.subset, host)
        return names.PASSTHROUGH if allowed else ""

    @property
    def http_proxy_port(self) -> int:
        return self.proxy.http_proxy_port or self.mesh.settings.proxy_http_port

    @property
    def wildcard(self) -> str:
        """Where a listener for every address binds."""
        if self.proxy.bind_address:
            return self.proxy.bind_address
        return WILDCARD if self.proxy.captures or self.proxy.type == "router" else LOCALHOST
