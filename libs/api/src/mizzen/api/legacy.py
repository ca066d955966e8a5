"""What security.istio.io replaced: `authentication.istio.io` and the switch of `rbac.istio.io`, both v1alpha1.

Source: authentication/v1alpha1 and rbac/v1alpha1 of istio/api at 1.0.9 and 1.4. Roles and bindings are in
`mizzen.api.mixer.rbac`, since Mixer's adapter reads them too.
"""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from mizzen.api.types import Bool, HeaderName, Model, Port


class StringMatch(Model):
    """One way to compare a path."""

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = (("exact", "prefix", "suffix", "regex"),)

    exact: str = ""
    prefix: str = ""
    suffix: str = ""
    regex: str = ""


class TriggerRule(Model):
    """Paths that need a token: not one of `excluded_paths`, and one of `included_paths` if there are any."""

    excluded_paths: tuple[StringMatch, ...] = ()
    included_paths: tuple[StringMatch, ...] = ()


class Jwt(Model):
    """Tokens of one issuer."""

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = (("jwks_uri", "jwks"),)

    issuer: str = ""
    audiences: tuple[str, ...] = ()
    jwks_uri: str = ""
    jwks: str = ""
    jwt_headers: tuple[HeaderName, ...] = ()
    jwt_params: tuple[str, ...] = ()
    trigger_rules: tuple[TriggerRule, ...] = ()
    """A request that any of them fits needs a token; none at all: every request does."""


class MutualTlsMode(StrEnum):
    """PERMISSIVE takes plain text too."""

    STRICT = "STRICT"
    PERMISSIVE = "PERMISSIVE"


class MutualTls(Model):
    """How peers are authenticated."""

    allow_tls: Bool = False
    """TLS without a certificate is enough."""
    mode: MutualTlsMode = MutualTlsMode.STRICT


class PeerMethod(Model):
    """How a peer may be authenticated; nothing stated is mutual TLS."""

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = (("mtls", "jwt"),)

    mtls: MutualTls | None = None
    jwt: Jwt | None = None


class OriginMethod(Model):
    """How a user may be authenticated."""

    jwt: Jwt | None = None


class PortSelector(Model):
    """A port of a service."""

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = (("number", "name"),)

    number: Port | None = None
    name: str = ""


class TargetSelector(Model):
    """A service of the policy's namespace, or some of its ports."""

    name: Annotated[str, Field(min_length=1)]
    ports: tuple[PortSelector, ...] = ()


class PrincipalBinding(StrEnum):
    """Whose identity counts; both have an attribute of their own now."""

    USE_PEER = "USE_PEER"
    USE_ORIGIN = "USE_ORIGIN"


class AuthenticationPolicy(Model):
    """Who must prove what to these services: kind Policy of a namespace, MeshPolicy of the mesh."""

    targets: tuple[TargetSelector, ...] = ()
    """None: all of the namespace or of the mesh; the name is `default` then."""
    peers: tuple[PeerMethod, ...] = ()
    """None: peers are not authenticated, and plain text is spoken."""
    peer_is_optional: Bool = False
    origins: tuple[OriginMethod, ...] = ()
    origin_is_optional: Bool = False
    principal_binding: PrincipalBinding = PrincipalBinding.USE_PEER


class RbacMode(StrEnum):
    """For which services roles are enforced."""

    OFF = "OFF"
    ON = "ON"
    ON_WITH_INCLUSION = "ON_WITH_INCLUSION"
    ON_WITH_EXCLUSION = "ON_WITH_EXCLUSION"


class RbacTarget(Model):
    """Services by host, and all services of namespaces."""

    services: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()


class EnforcementMode(StrEnum):
    """PERMISSIVE only tells what would be refused."""

    ENFORCED = "ENFORCED"
    PERMISSIVE = "PERMISSIVE"


class RbacConfig(Model):
    """Whether ServiceRoles are enforced: kind RbacConfig, later ClusterRbacConfig; the name is `default`."""

    mode: RbacMode = RbacMode.OFF
    inclusion: RbacTarget | None = None
    exclusion: RbacTarget | None = None
    enforcement_mode: EnforcementMode = EnforcementMode.ENFORCED
