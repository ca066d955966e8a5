"""What workloads accept from each other: PeerAuthentications, each for the mesh, a namespace or some workloads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mizzen.api.resource import Resource
from mizzen.api.security import MutualTLS, MutualTLSMode, PeerAuthentication
from mizzen.pilot.base.labels import Labels, labels

DEFAULT = MutualTLSMode.PERMISSIVE
TLS_MODE = ("security.istio.io/tlsMode", "istio")
"""The label of workloads whose sidecar takes mutual TLS."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What one workload accepts."""

    mode: MutualTLSMode = DEFAULT
    ports: Mapping[int, MutualTLSMode] = field(default_factory=dict)
    """Of its own ports that differ."""
    origin: str = ""
    """The resource that says `mode`; empty where none does."""
    ports_origin: str = ""
    """The one that says `ports`."""

    def on(self, port: int) -> MutualTLSMode:
        """DISABLE, PERMISSIVE or STRICT."""
        return self.ports.get(port, self.mode)

    def decided_by(self, port: int) -> str:
        """The resource that decides on a port; empty where none does."""
        return self.ports_origin if port in self.ports else self.origin


@dataclass(frozen=True, slots=True)
class PeerAuthentications:
    """All of a mesh, oldest first: within a scope the oldest one counts. Those that stand for legacy ones come last."""

    policies: tuple[Resource[PeerAuthentication], ...] = ()
    root: str = "istio-system"

    def of(self, namespace: str, own: Labels) -> Accepted:
        """What a workload with these labels accepts: its own policy's word, else its namespace's, else the mesh's."""
        for_workload = self._first(namespace, own)
        inherited = (self._first(namespace), self._first(self.root))
        said = ((policy, _mode(policy)) for policy in (for_workload, *inherited))
        decider, mode = next(((by, mode) for by, mode in said if by is not None and mode is not None), (None, DEFAULT))
        stated = for_workload.spec.port_level_mtls or {} if for_workload is not None else {}
        ports = {port: _said(each) or mode for port, each in stated.items()}
        return Accepted(
            mode,
            MappingProxyType({port: each for port, each in ports.items() if each is not mode}),
            decider.id if decider is not None else "",
            for_workload.id if for_workload is not None else "",
        )

    def _first(self, namespace: str, own: Labels | None = None) -> Resource[PeerAuthentication] | None:
        """Of the namespace: with a selector that fits, where labels are given, else without one."""
        for policy in self.policies:
            selector = policy.spec.selector
            wanted = labels(selector.match_labels) if selector is not None else labels({})
            if policy.metadata.namespace != namespace or bool(wanted) != (own is not None):
                continue
            # One with a selector in the root namespace would reach beyond its namespace; Istio ignores it.
            if own is None or (wanted <= own and namespace != self.root):
                return policy
        return None


def _mode(policy: Resource[PeerAuthentication] | None) -> MutualTLSMode | None:
    return _said(policy.spec.mtls) if policy is not None else None


def _said(mtls: MutualTLS | None) -> MutualTLSMode | None:
    """None where the wider scope decides."""
    return None if mtls is None or mtls.mode is MutualTLSMode.UNSET else mtls.mode
