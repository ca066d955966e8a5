"""Backends of routes: services that exist and may be referred to, and the share of those that are not so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mizzen.api import virtualservice as vs
from mizzen.api.gatewayapi.reference import BackendObjectReference
from mizzen.api.types import PortSelector
from mizzen.pilot.base.condition import Condition
from mizzen.pilot.snapshot.gatewayapi.grants import CORE, Grants
from mizzen.pilot.snapshot.kubernetes import hostname
from mizzen.pilot.snapshot.service import Service, ServiceKey


@dataclass(frozen=True)
class Backends:
    """What routes may send requests to."""

    services: Mapping[ServiceKey, Service]
    grants: Grants
    suffix: str

    def service(self, name: str, namespace: str) -> Service | None:
        """The Service of that name."""
        return self.services.get(ServiceKey(hostname(name, namespace, self.suffix), namespace))

    def resolve(self, reference: BackendObjectReference, kind: str, namespace: str) -> vs.Destination | Condition:
        """The destination of a route of this kind and namespace, or why there is none."""
        place = reference.namespace or namespace
        if reference.group not in CORE or reference.kind != "Service":
            message = f"{reference.kind} {reference.name} cannot be a backend; Services can"
            return Condition("ResolvedRefs", False, "InvalidKind", message)
        if not self.grants.permit((kind, namespace), ("Service", place, reference.name)):
            message = f"no ReferenceGrant of {place} lets an {kind} of {namespace} refer to Service {reference.name}"
            return Condition("ResolvedRefs", False, "RefNotPermitted", message)
        service = self.service(reference.name, place)
        if service is None or all(port.number != reference.port for port in service.ports):
            message = f"Service {place}/{reference.name} with port {reference.port} does not exist"
            return Condition("ResolvedRefs", False, "BackendNotFound", message)
        return vs.Destination(host=service.hostname, port=PortSelector(number=reference.port or 0))
