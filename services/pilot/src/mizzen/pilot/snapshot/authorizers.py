"""Whether the authorizers that policies name can be asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mizzen.api.problem import Problem
from mizzen.api.resource import Resource
from mizzen.api.security import AuthorizationAction, AuthorizationPolicy
from mizzen.pilot.base.extauthz import ExtAuthz
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.snapshot.service import Service


def obstacle(provider: ExtAuthz, services: Mapping[str, tuple[Service, ...]]) -> str:
    """What keeps proxies from asking it; empty for nothing. `services` are the mesh's, by host."""
    namespace, _, host = provider.service.rpartition("/")
    found = [service for service in services.get(host, ()) if namespace in ("", service.namespace)]
    if not found:
        return f"provider {provider.name}: the mesh has no service {provider.service}"
    if not any(port.number == provider.port for port in found[0].ports):
        return f"provider {provider.name}: service {host} has no port {provider.port}"
    return ""


def problems(
    policies: Iterable[Resource[AuthorizationPolicy]],
    settings: MeshConfig,
    services: Mapping[str, tuple[Service, ...]],
) -> Iterator[Problem]:
    """Policies with action CUSTOM that refuse what they match, since nobody can be asked."""
    providers = {provider.name: provider for provider in settings.authorizers}
    for policy in policies:
        stated = policy.spec.provider
        if policy.spec.action is not AuthorizationAction.CUSTOM or stated is None:
            continue
        known = providers.get(stated.name)
        if known is None:
            names = ", ".join(sorted(providers)) or "none"
            reason = f"the mesh config has no extensionProvider {stated.name!r} that can be asked (it has: {names})"
        else:
            reason = obstacle(known, services)
        if reason:
            message = f"{reason}; what this policy matches is refused"
            yield Problem(policy.source, policy.id, "spec.provider.name", message)
