"""Workloads that only mutual TLS is to reach, and that cannot speak it."""

from __future__ import annotations

from collections.abc import Iterable

from mizzen.api.problem import Problem
from mizzen.api.security import MutualTLSMode
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.peerauth import TLS_MODE
from mizzen.pilot.snapshot.proxy import Proxy

MAX_NAMED = 5


def able(proxy: Proxy) -> bool:
    """The proxy has a certificate.

    Its label says so, else that it has an identity: a gateway has no label, for that would be about its servers.
    """
    stated = dict(proxy.labels).get(TLS_MODE[0])
    has_it = bool(proxy.principal) if stated is None else stated == TLS_MODE[1]
    return has_it and proxy.generator != "grpc"


def certified(mesh: Mesh, proxy: Proxy) -> bool:
    """It has one, and the mesh uses it."""
    return mesh.settings.enable_auto_mtls and able(proxy)


def cut_off(mesh: Mesh, proxies: Iterable[Proxy]) -> list[Problem]:
    """One warning for each PeerAuthentication that makes ports of sidecars STRICT which have no certificate."""
    found: dict[str, set[str]] = {}
    for proxy in proxies:
        if proxy.type == "router" or certified(mesh, proxy):
            continue
        accepted = mesh.peers.of(proxy.namespace, proxy.labels)
        for port in (0, *accepted.ports):
            if accepted.on(port) is MutualTLSMode.STRICT:
                found.setdefault(accepted.decided_by(port), set()).add(f"{proxy.name}.{proxy.namespace}")
    return [
        Problem(policy.source, policy.id, "spec.mtls", _message(found[policy.id]), "warning")
        for policy in mesh.peers.policies
        if policy.id in found
    ]


def _message(names: set[str]) -> str:
    shown = sorted(names)[:MAX_NAMED]
    others = f" and {len(names) - len(shown)} others" if len(names) > len(shown) else ""
    return f"STRICT, but without a certificate, so that nobody can reach it: {', '.join(shown)}{others}"
