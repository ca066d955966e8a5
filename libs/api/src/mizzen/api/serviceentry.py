"""ServiceEntry: a service that the platform's registry does not know."""

from enum import StrEnum

from mizzen.api.sidecar import WorkloadSelector
from mizzen.api.types import Host, KubernetesModel, Model, Port, Subnet
from mizzen.api.workloadentry import WorkloadEntry


class Location(StrEnum):
    """Whether the service belongs to the mesh."""

    MESH_EXTERNAL = "MESH_EXTERNAL"
    MESH_INTERNAL = "MESH_INTERNAL"


class Resolution(StrEnum):
    """How the service's endpoints are found."""

    NONE = "NONE"
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    DYNAMIC_DNS = "DYNAMIC_DNS"


class ServicePort(Model):
    """A port of the service; `target_port` is the endpoints' port where it differs."""

    number: Port
    protocol: str = ""
    name: str
    target_port: Port | None = None


class ServiceEntry(Model):
    """Adds services with these hosts to the registry."""

    hosts: tuple[Host, ...] = ()
    addresses: tuple[Subnet, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    location: Location = Location.MESH_EXTERNAL
    resolution: Resolution = Resolution.NONE
    endpoints: tuple[WorkloadEntry, ...] = ()
    workload_selector: WorkloadSelector | None = None
    export_to: tuple[str, ...] = ()
    subject_alt_names: tuple[str, ...] = ()


class ServiceEntryAddress(KubernetesModel):
    """An address that was allocated for a host."""

    value: str
    host: str = ""


class ServiceEntryStatus(KubernetesModel):
    """What the control plane has found out about a ServiceEntry."""

    addresses: tuple[ServiceEntryAddress, ...] = ()
