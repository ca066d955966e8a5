"""Whom a question goes to, and how that endpoint is spoken to: as the cluster of the authorizer says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from mizzen.proxy.app.mixer.addresses import Addresses
from mizzen.proxy.app.pod.http_client import Peer
from mizzen.proxy.engine.plan import ClusterPlan, EndpointPlan
from mizzen.proxy.engine.stats import TlsStats
from mizzen.proxy.engine.tls_plan import SecretPlan
from mizzen.proxy.io.cluster import bare_host
from mizzen.proxy.io.connect import ClientSecurity
from mizzen.proxy.io.tls_contexts import Inside, TlsContexts
from mizzen.runtime.address import Address

Secrets: TypeAlias = Callable[[], Mapping[str, SecretPlan]]
"""Those that the proxy has now."""


class Peers:
    """Endpoints of authorizers' clusters, in TLS with the certificates that the proxy has now."""

    def __init__(self, addresses: Addresses, secrets: Secrets, chance: Callable[[], float]) -> None:
        self._addresses: Final = addresses
        self._secrets: Final = secrets
        self._chance: Final = chance
        self._contexts: Final = TlsContexts()
        self._stats: Final = TlsStats()

    def endpoints(self, cluster: str) -> tuple[ClusterPlan, list[EndpointPlan]]:
        """The cluster and its healthy endpoints, at least one; LookupError says what is missing."""
        return self._addresses.healthy(cluster)

    def choose(self, endpoints: list[EndpointPlan]) -> EndpointPlan:
        """One of them, all with the same chance."""
        return endpoints[int(self._chance() * len(endpoints))]

    def peer(self, cluster: ClusterPlan, endpoint: EndpointPlan, authority: bytes, inside: Inside) -> Peer:
        """The endpoint for requests of this authority. Raises NoSecret.

        It has the same `Security` as the last time until a secret or the cluster's TLS changes.
        """
        address, plan = Address(endpoint.address, endpoint.port), cluster.sockets.of(endpoint.says)
        if plan is None:
            return Peer(address)
        self._contexts.follow(self._secrets())
        if cluster.sockets.goes_by_host:
            security = self._contexts.security_of_host(plan, cluster.sockets, bare_host(authority), inside)
        else:
            security = self._contexts.security(plan, inside)
        return Peer(address, security=ClientSecurity(security, self._stats))
