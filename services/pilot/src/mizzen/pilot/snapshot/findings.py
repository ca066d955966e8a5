"""What is wrong with the resources of a mesh, seen together: each is valid alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from mizzen.api.destinationrule import DestinationRule
from mizzen.api.problem import Problem
from mizzen.api.serviceentry import ServiceEntry
from mizzen.pilot.snapshot import authorizers, clientcredentials, conflicts, credentials, policytargets
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.select import of_kind


def findings(mesh: Mesh) -> Iterator[Problem]:
    """All of a mesh but what its making found."""
    yield from _of_traffic(mesh)
    yield from _of_security(mesh)


def _of_traffic(mesh: Mesh) -> Iterator[Problem]:
    """Routes, gateways and rules that have not the effect that they seem to have."""
    resources = tuple(mesh.resources.values())
    gateways = frozenset((each.metadata.namespace, each.metadata.name) for each in mesh.gateways)
    yield from mesh.translation.problems(mesh.resources)
    yield from conflicts.of_routings(mesh.routings, gateways)
    yield from credentials.problems(mesh.gateways, mesh.resources)
    yield from clientcredentials.problems(of_kind(resources, DestinationRule), mesh.resources)
    yield from conflicts.of_sidecars(mesh.sidecars)
    yield from conflicts.of_rules(of_kind(resources, DestinationRule), mutual_tls=mesh.settings.enable_auto_mtls)
    yield from conflicts.of_service_entries(of_kind(resources, ServiceEntry))


def _of_security(mesh: Mesh) -> Iterator[Problem]:
    """Policies that do not protect as it seems, or more than it seems."""
    settings = mesh.settings
    yield from authorizers.problems(mesh.authorization, settings, mesh.by_host)
    yield from conflicts.of_keys(mesh.authentication, mesh.keys)
    endpoints = chain.from_iterable(mesh.endpoints.values())
    yield from policytargets.without_target((*mesh.authorization, *mesh.authentication), endpoints)
    yield from policytargets.beyond_namespace(mesh.peers.policies, settings.root_namespace)
