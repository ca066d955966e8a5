"""Sidecar: what a workload's proxy accepts and what it can reach."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from mizzen.api.destinationrule import ConnectionPoolSettings
from mizzen.api.gateway import ServerTLSSettings
from mizzen.api.types import CaptureMode, Model, UInt32
from mizzen.api.virtualservice import Destination


class WorkloadSelector(Model):
    """Workloads of the same namespace that carry all these labels."""

    labels: dict[str, str] = Field(default_factory=dict)


class SidecarPort(Model):
    """A port to listen on. Number 0 stands for a Unix socket."""

    number: Annotated[UInt32, Field(le=65535)] = 0
    protocol: str = ""
    name: str = ""
    target_port: UInt32 | None = None
    """Deprecated, and without effect."""


class IstioIngressListener(Model):
    """A port that the proxy accepts for the workload, and where it forwards to."""

    port: SidecarPort | None = None
    bind: str = ""
    capture_mode: CaptureMode = CaptureMode.DEFAULT
    default_endpoint: str = ""
    tls: ServerTLSSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None


class IstioEgressListener(Model):
    """A port on which the workload reaches services; hosts are `namespace/host`."""

    port: SidecarPort | None = None
    bind: str = ""
    capture_mode: CaptureMode = CaptureMode.DEFAULT
    hosts: tuple[str, ...] = ()


class OutboundTrafficMode(StrEnum):
    """What happens to traffic for unknown services."""

    REGISTRY_ONLY = "REGISTRY_ONLY"
    ALLOW_ANY = "ALLOW_ANY"


class OutboundTrafficPolicy(Model):
    """How traffic for unknown services is treated."""

    mode: OutboundTrafficMode = OutboundTrafficMode.REGISTRY_ONLY
    egress_proxy: Destination | None = None


class Sidecar(Model):
    """The inbound and outbound view of the selected workloads, or of the whole namespace."""

    workload_selector: WorkloadSelector | None = None
    ingress: tuple[IstioIngressListener, ...] = ()
    egress: tuple[IstioEgressListener, ...] = ()
    inbound_connection_pool: ConnectionPoolSettings | None = None
    outbound_traffic_policy: OutboundTrafficPolicy | None = None
