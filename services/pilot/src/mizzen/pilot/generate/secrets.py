"""Secrets of gateways, for those proxies alone that have proved who they are and whose Gateways name them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

from mizzen.api.gateway import Gateway
from mizzen.api.resource import Resource, ResourceKey
from mizzen.pilot.generate.encoded import Encoded, encode
from mizzen.pilot.snapshot import clientcredentials, credentials
from mizzen.pilot.snapshot.credentials import Pair, Place, UnusableCredential
from mizzen.pilot.snapshot.gateways import selected
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.proxy import Proxy
from mizzen.pilot.snapshot.select import visible


class Use(NamedTuple):
    """What names a credential."""

    shown: str
    gateway: Resource[Gateway] | None = None
    """Whose server it is; None for a DestinationRule."""


def secret(name: str, proxy: Proxy, mesh: Mesh) -> Encoded:
    """The Secret of this name; raises UnusableCredential."""
    if not proxy.verified:
        raise UnusableCredential("secrets are given over mutual TLS alone, and this stream is not (port 15012)")
    uses = [use for known, use in _uses(proxy, mesh) if known == name]
    if not uses:
        raise UnusableCredential("no Gateway and no DestinationRule of this proxy names it")
    shown = uses[0].shown
    at = credentials.place(name, proxy.namespace)
    if not any(_allowed(name, at, use, proxy, mesh) for use in uses):
        raise UnusableCredential(
            f"{shown}: proxies of namespace {proxy.namespace} may not have Secret {at.namespace}/{at.name}"
        )
    try:
        return encode(name, _message(name, at, mesh))
    except UnusableCredential as error:
        raise UnusableCredential(f"{shown}: {error}") from error


def concerns(key: ResourceKey, proxy: Proxy, mesh: Mesh) -> bool:
    """Whether what a proxy is to have depends on a Secret."""
    return any(key in _secrets_behind(name, proxy) for name, _ in _uses(proxy, mesh))


def _secrets_behind(name: str, proxy: Proxy) -> tuple[ResourceKey, ...]:
    try:
        return credentials.secrets_at(credentials.place(name, proxy.namespace))
    except UnusableCredential:
        return ()


def _uses(proxy: Proxy, mesh: Mesh) -> Iterator[tuple[str, Use]]:
    """By names of credentials. Sidecars get none."""
    if proxy.type != "router":
        return
    for gateway in selected(mesh.gateways, proxy.labels):
        for index, server in enumerate(gateway.spec.servers):
            server_name = f"server {server.name!r}" if server.name else f"server {index}"
            for name in credentials.named(server.tls) if server.tls is not None else ():
                yield name, Use(f"{gateway.id}, {server_name}", gateway)
    for rule in chain.from_iterable(mesh.rules.by_namespace.values()):
        if rule.namespace == proxy.namespace or visible(rule.export_to, proxy.namespace):
            for part in rule.parts:
                for _, name in clientcredentials.named(part.spec):
                    yield name, Use(part.id)


def _allowed(name: str, at: Place, use: Use, proxy: Proxy, mesh: Mesh) -> bool:
    """Of the proxy's own namespace; of another one where the Gateway API lets the Gateway refer to it.

    Such a Gateway is served by the mesh's ingress gateway, or by proxies of its own namespace. What labels a proxy
    says that it has counts for nothing here: a workload anywhere could call itself the ingress gateway.
    """
    if name.startswith(credentials.PLAIN) or use.gateway is None:
        return at.namespace == proxy.namespace
    if use.gateway in mesh.translation.gateways:
        return proxy.namespace in (mesh.settings.root_namespace, use.gateway.metadata.namespace)
    return at.namespace == proxy.namespace == use.gateway.metadata.namespace


def _message(name: str, at: Place, mesh: Mesh) -> Any:
    found = credentials.read(at, mesh.resources)
    message = secret_pb2.Secret(name=name)
    if isinstance(found, Pair):
        message.tls_certificate.certificate_chain.inline_bytes = found.chain
        message.tls_certificate.private_key.inline_bytes = found.key
        if found.staple:
            message.tls_certificate.ocsp_staple.inline_bytes = found.staple
    else:
        message.validation_context.trusted_ca.inline_bytes = found.certificates
        if found.revoked:
            message.validation_context.crl.inline_bytes = found.revoked
    return message
