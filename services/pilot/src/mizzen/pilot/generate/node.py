"""One proxy in one mesh: what generators need to know about the two together."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from envoy.config.cluster.v3 import cluster_pb2

from mizzen.api.kinds import AUTHENTICATION, RBAC
from mizzen.api.security import MutualTLSMode
from mizzen.api.sidecar import OutboundTrafficMode, Sidecar
from mizzen.pilot.base import host as hosts
from mizzen.pilot.base.labels import Labels
from mizzen.pilot.generate import names
from mizzen.pilot.generate.authz.extauthz import resolve
from mizzen.pilot.generate.authz.filters import Guards, Setting, guards_of
from mizzen.pilot.generate.tokens import token_filter
from mizzen.pilot.snapshot.destinationrule import Rule
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.peerauth import Accepted
from mizzen.pilot.snapshot.policytargets import policies_for
from mizzen.pilot.snapshot.proxy import Proxy
from mizzen.pilot.snapshot.scope import Scope
from mizzen.pilot.snapshot.service import Service
from mizzen.pilot.snapshot.staging import Place
from mizzen.pilot.snapshot.targets import Target, targets
from mizzen.pilot.snapshot.uncertified import certified

WILDCARD = "0.0.0.0"
WILDCARDS = (WILDCARD, "::")
LOCALHOSTS = ("127.0.0.1", "::1")
_SOURCES = ("127.0.0.6", "::6")


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
    def consulted(self) -> Mapping[str, Service]:
        """Services that the proxy itself asks, by host, and that a Sidecar resource puts out of scope."""
        found = (self.mesh.by_host.get(host, ()) for host in sorted(self.mesh.settings.consulted_hosts))
        return {s.hostname: s for services in found for s in services[:1] if self.scope.service(s.hostname) is None}

    @cached_property
    def mutual_tls(self) -> bool:
        """The proxy has an identity that it can show."""
        return certified(self.mesh, self.proxy)

    def accepts(self, port: int) -> MutualTLSMode:
        """What the workload accepts on one of its ports; both, while that changes."""
        for address in self.proxy.addresses if self.mesh.staging else ():
            step = self.mesh.staging.get(Place(address, port))
            if step is not None:
                return step.serves
        stated = self.accepted.on(port)
        return stated if self.mutual_tls or stated is MutualTLSMode.STRICT else MutualTLSMode.DISABLE

    @cached_property
    def accepted(self) -> Accepted:
        """The word of the PeerAuthentications."""
        return self.mesh.peers.of(self.proxy.namespace, self.proxy.labels)

    @cached_property
    def guards(self) -> Guards:
        """The filters that AuthorizationPolicies make."""
        mesh, proxy = self.mesh, self.proxy
        found = policies_for(mesh.authorization, proxy.namespace, proxy.labels, mesh.settings.root_namespace)
        if proxy.type == "router":  # roles never were for gateways
            found = [policy for policy in found if policy.group not in (RBAC, AUTHENTICATION)]
        authorizers = {each.name: resolve(each, mesh.by_host) for each in mesh.settings.authorizers}
        return guards_of(found, Setting(mesh.settings.trust_domains, authorizers))

    @cached_property
    def http_guards(self) -> tuple[bytes, ...]:
        """The filters that say which requests may come in, in their order."""
        return (*self.guards.custom, *self.tokens, *self.guards.http)

    @cached_property
    def tokens(self) -> tuple[bytes, ...]:
        """The filter that RequestAuthentications make."""
        mesh, proxy = self.mesh, self.proxy
        found = policies_for(mesh.authentication, proxy.namespace, proxy.labels, mesh.settings.root_namespace)
        return token_filter(found, mesh.keys, clears_route=proxy.type == "router")

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

    @cached_property
    def wildcards(self) -> tuple[str, ...]:
        """Every address, or the one that listeners are to bind to; several with several families, IPv4 first."""
        return (self.proxy.bind_address,) if self.proxy.bind_address else self._of_families(WILDCARDS)

    @cached_property
    def localhosts(self) -> tuple[str, ...]:
        """Where listeners for the own application alone bind."""
        return (self.proxy.bind_address,) if self.proxy.bind_address else self._of_families(LOCALHOSTS)

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Source addresses of connections to the own application that capture lets pass; none without capture."""
        return self._of_families(_SOURCES) if self.proxy.captures else ()

    @cached_property
    def lookup(self) -> int:
        """Which addresses of DNS names are of use to the proxy (DnsLookupFamily)."""
        families = cluster_pb2.Cluster
        if self.proxy.has_family(6):
            return int(families.ALL if self.proxy.has_family(4) else families.V6_ONLY)
        return int(families.V4_ONLY)

    @cached_property
    def unicast(self) -> str:
        """The first address by which others reach the workload; empty when it has none but loopback."""
        return next((address for address in self.proxy.addresses if _is_unicast(address)), "")

    @cached_property
    def reserved(self) -> frozenset[int]:
        """Ports of the proxy's own listeners on every address."""
        settings, proxy = self.mesh.settings, self.proxy
        captured = (settings.proxy_listen_port, settings.proxy_inbound_listen_port)
        return frozenset({proxy.status_port, proxy.prometheus_port, *(captured if proxy.captures else ())})

    def _of_families(self, pair: tuple[str, str]) -> tuple[str, ...]:
        """Of an IPv4 and an IPv6 address those of the proxy's families."""
        return tuple(address for address, version in zip(pair, (4, 6), strict=True) if self.proxy.has_family(version))


def _is_unicast(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return not (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified)
