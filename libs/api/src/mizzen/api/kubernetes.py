"""Kubernetes' own kinds, as far as a mesh reads them.

The API server has validated these objects, so fields outside what is modelled here are ignored (`KubernetesModel`);
the fields that are modelled are checked all the same.
"""

import base64
import binascii
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    SerializationInfo,
    StrictInt,
    StrictStr,
    field_serializer,
)

from mizzen.api.types import Bool, Int32, KubernetesModel, Port
from mizzen.api.wording import show


def _port_or_name(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"must be a port number or a port name, got {show(value)}")
    if isinstance(value, int) and not 1 <= value <= 65535:
        raise ValueError(f"must be from 1 to 65535, got {value}")
    return value


PortOrName = Annotated[StrictInt | StrictStr, BeforeValidator(_port_or_name)]
Labels = Annotated[dict[str, str], Field(default_factory=dict)]


class TransportProtocol(StrEnum):
    """Kubernetes' port protocols."""

    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"


class ServiceType(StrEnum):
    """How a Service is reached from outside."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"
    EXTERNAL_NAME = "ExternalName"


class ServicePort(KubernetesModel):
    """A port of a Service; `target_port` is the pods' port or its name, `port` itself when unset."""

    name: str = ""
    port: Port
    protocol: TransportProtocol = TransportProtocol.TCP
    app_protocol: str = ""
    target_port: PortOrName | None = None
    node_port: Int32 | None = None


class Service(KubernetesModel):
    """A Service's spec. `cluster_ip` is "None" for a headless service."""

    type: ServiceType = ServiceType.CLUSTER_IP
    selector: Labels
    ports: tuple[ServicePort, ...] = ()
    cluster_ip: Annotated[str, Field(alias="clusterIP")] = ""
    cluster_ips: Annotated[tuple[str, ...], Field(alias="clusterIPs")] = ()
    external_ips: Annotated[tuple[str, ...], Field(alias="externalIPs")] = ()
    external_name: str = ""
    publish_not_ready_addresses: Bool = False


class LoadBalancerIngress(KubernetesModel):
    """Where a load balancer takes traffic: one of both is set."""

    ip: str = ""
    hostname: str = ""


class LoadBalancerStatus(KubernetesModel):
    """What a cloud's load balancer has been given; empty as long as it has no address."""

    ingress: tuple[LoadBalancerIngress, ...] = ()


class ServiceStatus(KubernetesModel):
    """A Service's state."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class ObjectReference(KubernetesModel):
    """Another object, usually the Pod behind an address."""

    kind: str = ""
    namespace: str = ""
    name: str = ""


class EndpointAddress(KubernetesModel):
    """An address of an Endpoints subset."""

    ip: str
    hostname: str = ""
    node_name: str = ""
    target_ref: ObjectReference | None = None


class EndpointPort(KubernetesModel):
    """A port of an Endpoints subset or an EndpointSlice; the name is the Service port's."""

    name: str = ""
    port: Port | None = None
    protocol: TransportProtocol = TransportProtocol.TCP
    app_protocol: str = ""


class EndpointSubset(KubernetesModel):
    """Addresses that share ports."""

    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class Endpoints(KubernetesModel):
    """The endpoints of the Service of the same name."""

    subsets: tuple[EndpointSubset, ...] = ()


class EndpointConditions(KubernetesModel):
    """An endpoint's state; unset means true for `ready` and `serving`, false for `terminating`."""

    ready: Bool | None = None
    serving: Bool | None = None
    terminating: Bool | None = None


class Endpoint(KubernetesModel):
    """One endpoint of an EndpointSlice."""

    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    hostname: str = ""
    node_name: str = ""
    zone: str = ""
    target_ref: ObjectReference | None = None


class AddressType(StrEnum):
    """What an EndpointSlice's addresses are."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"
    FQDN = "FQDN"


class EndpointSlice(KubernetesModel):
    """Some endpoints of the Service that the label `kubernetes.io/service-name` names."""

    address_type: AddressType = AddressType.IPV4
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class ContainerPort(KubernetesModel):
    """A port that a container declares."""

    name: str = ""
    container_port: Port
    protocol: TransportProtocol = TransportProtocol.TCP


class EnvVar(KubernetesModel):
    """An environment variable with a literal value."""

    name: str
    value: str = ""


class HTTPHeader(KubernetesModel):
    """A header that a probe sends."""

    name: str
    value: str = ""


class HTTPGetAction(KubernetesModel):
    """A probe by HTTP request."""

    path: str = "/"
    port: PortOrName
    host: str = ""
    scheme: str = "HTTP"
    http_headers: tuple[HTTPHeader, ...] = ()


class TCPSocketAction(KubernetesModel):
    """A probe by TCP connection."""

    port: PortOrName
    host: str = ""


class Probe(KubernetesModel):
    """A check of a container; times in seconds."""

    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    initial_delay_seconds: Int32 = 0
    period_seconds: Int32 = 10
    timeout_seconds: Int32 = 1
    success_threshold: Int32 = 1
    failure_threshold: Int32 = 3


class Container(KubernetesModel):
    """A process of a pod."""

    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[EnvVar, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None


class Pod(KubernetesModel):
    """A Pod's spec; `PodStatus` is the resource's status."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    service_account_name: str = ""
    node_name: str = ""
    hostname: str = ""
    subdomain: str = ""
    host_network: Bool = False


class PodPhase(StrEnum):
    """Where a pod is in its life."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


class PodCondition(KubernetesModel):
    """One aspect of a pod's state, such as type Ready, status "True"."""

    type: str
    status: str


class PodIP(KubernetesModel):
    """One of a pod's addresses."""

    ip: str


class PodStatus(KubernetesModel):
    """A pod's state."""

    phase: PodPhase = PodPhase.UNKNOWN
    pod_ip: Annotated[str, Field(alias="podIP")] = ""
    pod_ips: Annotated[tuple[PodIP, ...], Field(alias="podIPs")] = ()
    host_ip: Annotated[str, Field(alias="hostIP")] = ""
    conditions: tuple[PodCondition, ...] = ()


class LabelSelector(KubernetesModel):
    """The pods of a Deployment."""

    match_labels: Labels


class PodTemplateMetadata(KubernetesModel):
    """What pods of a template carry."""

    labels: Labels
    annotations: Labels


class PodTemplate(KubernetesModel):
    """What a Deployment's pods are made from."""

    metadata: PodTemplateMetadata = PodTemplateMetadata()
    spec: Pod = Pod()


class Deployment(KubernetesModel):
    """A Deployment's spec."""

    replicas: Annotated[Int32, Field(ge=0)] = 1
    selector: LabelSelector = LabelSelector()
    template: PodTemplate = PodTemplate()


class Namespace(KubernetesModel):
    """A Namespace's spec, of which a mesh reads nothing: its labels are in the metadata."""


class Node(KubernetesModel):
    """A Node's spec, of which a mesh reads nothing: the labels say where it stands."""


def _texts(value: object) -> object:
    """Like a mapping of text to text, whose errors do not show the values."""
    if not isinstance(value, Mapping):
        raise ValueError("must be a mapping of names to values")
    for name, text in value.items():
        if not isinstance(text, str):
            raise ValueError(f"{name}: must be text")
    return value


REVEAL = "reveal"
"""In the context of serialisation: values of Secrets as they are, for a file that nobody else can read."""
Secrets = Annotated[dict[str, SecretStr], BeforeValidator(_texts), Field(default_factory=dict)]


class Secret(KubernetesModel):
    """A Secret. Its values are neither in its `repr` nor, unless asked for, in what it is dumped to.

    It is read whole: a `stringdata` that nobody reads would be a gateway without its key.
    """

    model_config = ConfigDict(extra="forbid")

    type: str = "Opaque"
    immutable: bool = False
    data: Secrets
    """In base64."""
    string_data: Secrets
    """As it is; goes before `data`."""

    def value(self, name: str) -> bytes:
        """What it has by this name, b"" for nothing; raises ValueError, without the value, for what is no base64."""
        plain = self.string_data.get(name)
        if plain is not None:
            return plain.get_secret_value().encode()
        encoded = self.data.get(name)
        if encoded is None:
            return b""
        try:
            return base64.b64decode("".join(encoded.get_secret_value().split()), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"data.{name} is not base64") from None

    @field_serializer("data", "string_data")
    def _masked(self, values: dict[str, SecretStr], info: SerializationInfo) -> dict[str, str]:
        reveal = bool(info.context and info.context.get(REVEAL))
        return {name: value.get_secret_value() if reveal else str(value) for name, value in values.items()}
