"""References between objects, and who may make them."""

from typing import Annotated

from pydantic import Field

from mizzen.api.gatewayapi import GROUP
from mizzen.api.types import Int32, Model, Port


class ParentReference(Model):
    """What a route is attached to: a Gateway or one of its listeners, or a Service of the mesh."""

    group: str = GROUP
    kind: str = "Gateway"
    namespace: str | None = None
    name: str
    section_name: str = ""
    port: Port | None = None

    @property
    def is_gateway(self) -> bool:
        return (self.group, self.kind) == (GROUP, "Gateway")

    @property
    def is_service(self) -> bool:
        return self.group in ("", "core") and self.kind == "Service"


class BackendObjectReference(Model):
    """What requests are sent to; the namespace is the route's own when unset."""

    group: str = ""
    kind: str = "Service"
    namespace: str | None = None
    name: str
    port: Port | None = None


class SecretObjectReference(Model):
    """A certificate."""

    group: str = ""
    kind: str = "Secret"
    namespace: str | None = None
    name: str


class ParametersReference(Model):
    """An object with settings of a GatewayClass."""

    group: str
    kind: str
    namespace: str | None = None
    name: str


class ReferenceGrantFrom(Model):
    """Objects that may refer."""

    group: str
    kind: str
    namespace: str


class ReferenceGrantTo(Model):
    """Objects that may be referred to; all of the kind without a name."""

    group: str
    kind: str
    name: str = ""


class ReferenceGrant(Model):
    """Lets objects of other namespaces refer to some of this one."""

    from_: tuple[ReferenceGrantFrom, ...]
    to: tuple[ReferenceGrantTo, ...]


Weight = Annotated[Int32, Field(ge=0, le=1_000_000)]
