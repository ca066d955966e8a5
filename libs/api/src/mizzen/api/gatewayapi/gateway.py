"""GatewayClass and Gateway: who serves gateways, and what a gateway listens for."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from mizzen.api.gatewayapi import GROUP
from mizzen.api.gatewayapi.reference import ParametersReference, SecretObjectReference
from mizzen.api.types import Host, Model, Port


class GatewayClass(Model):
    """Says which controller serves the Gateways of this class."""

    controller_name: str
    parameters_ref: ParametersReference | None = None
    description: str = ""


class TLSMode(StrEnum):
    """Whether a listener ends TLS or passes it on."""

    TERMINATE = "Terminate"
    PASSTHROUGH = "Passthrough"


class ListenerTLSConfig(Model):
    """TLS of a listener."""

    mode: TLSMode = TLSMode.TERMINATE
    certificate_refs: tuple[SecretObjectReference, ...] = ()
    options: dict[str, str] = Field(default_factory=dict)


class FromNamespaces(StrEnum):
    """Whose routes a listener takes."""

    ALL = "All"
    SELECTOR = "Selector"
    SAME = "Same"
    NONE = "None"


class Operator(StrEnum):
    """How a label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class LabelSelectorRequirement(Model):
    """One condition on a label."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()


class LabelSelector(Model):
    """Kubernetes' selector of labels: everything in it must hold."""

    match_labels: dict[str, str] = Field(default_factory=dict)
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class RouteNamespaces(Model):
    """Namespaces whose routes may attach."""

    from_: FromNamespaces = FromNamespaces.SAME
    selector: LabelSelector | None = None


class RouteGroupKind(Model):
    """A kind of route."""

    group: str = GROUP
    kind: str


class AllowedRoutes(Model):
    """Which routes may attach to a listener."""

    namespaces: RouteNamespaces = RouteNamespaces()
    kinds: tuple[RouteGroupKind, ...] = ()


class Listener(Model):
    """A port and a host that a gateway listens for."""

    name: str
    hostname: Host | None = None
    port: Port
    protocol: str
    tls: ListenerTLSConfig | None = None
    allowed_routes: AllowedRoutes = AllowedRoutes()


class GatewayAddress(Model):
    """An address that is asked for."""

    type: str = "IPAddress"
    value: str = ""


class Gateway(Model):
    """Listeners of the gateway that a class stands for."""

    gateway_class_name: str
    listeners: Annotated[tuple[Listener, ...], Field(min_length=1)]
    addresses: tuple[GatewayAddress, ...] = ()
    infrastructure: dict[str, Any] = Field(default_factory=dict)
