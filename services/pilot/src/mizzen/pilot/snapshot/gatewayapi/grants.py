"""Who may refer to objects of another namespace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mizzen.api.gatewayapi import GROUP
from mizzen.api.gatewayapi.reference import ReferenceGrant
from mizzen.api.resource import Resource

CORE = ("", "core")
"""How Kubernetes' own group is written."""


@dataclass(frozen=True)
class Grants:
    """The ReferenceGrants of all namespaces."""

    granted: tuple[Resource[ReferenceGrant], ...]

    def permit(self, source: tuple[str, str], target: tuple[str, str, str]) -> bool:
        """Whether an object (kind of the Gateway API, namespace) may refer to one of the core group.

        The target is (kind, namespace, name). An object of the same namespace needs no grant.
        """
        kind, namespace = source
        wanted, place, name = target
        if place == namespace:
            return True
        grants: Iterable[ReferenceGrant] = (g.spec for g in self.granted if g.metadata.namespace == place)
        return any(
            any((f.group, f.kind, f.namespace) == (GROUP, kind, namespace) for f in grant.from_)
            and any(t.group in CORE and t.kind == wanted and t.name in ("", name) for t in grant.to)
            for grant in grants
        )
