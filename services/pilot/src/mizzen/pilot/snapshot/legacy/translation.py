"""All legacy security of a mesh, translated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mizzen.api.problem import Problem
from mizzen.api.resource import Resource
from mizzen.api.security import AuthorizationPolicy, PeerAuthentication, RequestAuthentication
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.snapshot.legacy.authentication import of_policies
from mizzen.pilot.snapshot.legacy.authorization import of_roles
from mizzen.pilot.snapshot.service import Service


@dataclass(frozen=True, slots=True)
class Translated:
    """Resources that nobody wrote: each has the group and source of what it stands for."""

    peers: tuple[Resource[PeerAuthentication], ...] = ()
    authentication: tuple[Resource[RequestAuthentication], ...] = ()
    authorization: tuple[Resource[AuthorizationPolicy], ...] = ()
    problems: tuple[Problem, ...] = ()


def translate(
    resources: Iterable[Resource], services: Mapping[str, tuple[Service, ...]], settings: MeshConfig
) -> Translated:
    """`services` are the mesh's, by namespace."""
    known = tuple(resources)
    policies = of_policies(known, services, settings.root_namespace)
    roles = of_roles(known, services)
    return Translated(
        peers=tuple(policies.peers),
        authentication=tuple(policies.authentication),
        authorization=(*policies.authorization, *roles.policies),
        problems=(*policies.problems, *roles.problems),
    )
