"""What the service registries hand to the snapshot."""

from __future__ import annotations

from dataclasses import dataclass

from mizzen.api.resource import Resource


@dataclass(frozen=True, slots=True)
class RegistrySnapshot:
    """The platform at one instant: Service, EndpointSlice, Endpoints, Pod, Node, Namespace resources, in any order.

    ServiceEntry and WorkloadEntry are config, not part of it.
    """

    resources: tuple[Resource, ...] = ()
