"""Kinds that others replaced: what stands for them now, and what of them cannot be carried over."""

from collections.abc import Iterator
from typing import Final

from mizzen.api.legacy import AuthenticationPolicy, RbacConfig
from mizzen.api.mixer.rbac import ServiceRole, ServiceRoleBinding
from mizzen.api.resource import Metadata
from mizzen.api.rules import Finding, error, warning

DEFAULT: Final = "default"
"""What a policy without targets, and the switch of roles, are called."""
_ROLES: Final = (
    "is deprecated, and counts only with a ClusterRbacConfig that is on, or for Mixer's adapter rbac; "
    "write an AuthorizationPolicy"
)


def check_policy(spec: AuthenticationPolicy, metadata: Metadata) -> Iterator[Finding]:
    """A Policy."""
    wanted = "a PeerAuthentication" + (
        ", a RequestAuthentication and an AuthorizationPolicy that needs a token" if spec.origins else ""
    )
    yield warning((), f"authentication.istio.io is deprecated; write {wanted}")
    if not spec.targets and metadata.name != DEFAULT:
        yield error(("targets",), f"only a policy with the name {DEFAULT!r} is for the whole namespace")
    for index, peer in enumerate(spec.peers):
        if peer.jwt is not None:
            yield error(("peers", index, "jwt"), "a peer proves itself by mutual TLS alone; tokens belong to origins")


def check_mesh_policy(spec: AuthenticationPolicy, metadata: Metadata) -> Iterator[Finding]:
    """A MeshPolicy."""
    if metadata.name != DEFAULT:
        yield error((), f"only a MeshPolicy with the name {DEFAULT!r} counts")
    if spec.targets:
        yield error(("targets",), "a MeshPolicy is for everything; a Policy has targets")
    yield from check_policy(spec, metadata.model_copy(update={"name": DEFAULT}))


def check_rbac_config(spec: RbacConfig, metadata: Metadata) -> Iterator[Finding]:
    """An RbacConfig or ClusterRbacConfig."""
    yield warning((), "is deprecated; an AuthorizationPolicy without rules allows nothing, with rules what they say")
    if metadata.name != DEFAULT:
        yield error((), f"only one with the name {DEFAULT!r} counts")


def check_role(spec: ServiceRole, metadata: Metadata) -> Iterator[Finding]:
    """A ServiceRole."""
    yield warning((), _ROLES)


def check_binding(spec: ServiceRoleBinding, metadata: Metadata) -> Iterator[Finding]:
    """A ServiceRoleBinding."""
    yield warning((), _ROLES)
    if spec.role_ref.kind != "ServiceRole":
        yield error(("roleRef", "kind"), f"must be ServiceRole, not {spec.role_ref.kind!r}")
