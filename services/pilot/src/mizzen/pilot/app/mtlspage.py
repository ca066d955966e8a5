"""What Pilot knows of mutual TLS at each port of each service: for `/debug/mtlsz` and `mizzen mtls-status`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mizzen.api.destinationrule import ClientTLSMode
from mizzen.pilot.snapshot.destinationrule import effective
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.peerauth import TLS_MODE
from mizzen.pilot.snapshot.proxy import Proxy
from mizzen.pilot.snapshot.service import Endpoint, Port, Service
from mizzen.pilot.snapshot.staging import Place
from mizzen.pilot.snapshot.uncertified import certified

Waits = Mapping[Place, tuple[str, ...]]


def mtls_page(mesh: Mesh, proxies: Iterable[Proxy], waits: Waits) -> list[dict[str, Any]]:
    """One object for each port of each service of the mesh that has endpoints, by name.

    Gateways are left out: their servers say what they take, no PeerAuthentication does.
    """
    connected = tuple(proxies)
    by_address = {address: proxy for proxy in connected for address in proxy.addresses}
    rows: list[dict[str, Any]] = []
    for service in sorted(mesh.services, key=lambda each: each.key):
        for port in () if service.external else service.ports:
            there = ((each, by_address.get(each.address)) for each in mesh.endpoints_of(service, port.name))
            workloads = [
                _workload(mesh, endpoint, proxy, waits)
                for endpoint, proxy in there
                if proxy is None or proxy.type != "router"
            ]
            if workloads:
                rows.append(
                    {
                        "service": service.hostname,
                        "namespace": service.namespace,
                        "port": port.number,
                        "workloads": workloads,
                        "clientsInPlainText": _plain_clients(mesh, service, port, connected),
                    }
                )
    return rows


def _workload(mesh: Mesh, endpoint: Endpoint, proxy: Proxy | None, waits: Waits) -> dict[str, Any]:
    place = Place(endpoint.address, endpoint.port)
    accepted = mesh.peers.of(endpoint.namespace, endpoint.labels)
    step = mesh.staging.get(place)
    return {
        "workload": endpoint.workload,
        "address": str(place),
        "proxy": f"{proxy.name}.{proxy.namespace}" if proxy is not None else None,
        "certificate": mesh.settings.enable_auto_mtls and TLS_MODE in endpoint.labels,
        "mode": str(accepted.on(endpoint.port)),
        "decidedBy": accepted.decided_by(endpoint.port),
        "switching": step is not None,
        "waitsFor": list(waits.get(place, ())),
    }


def _plain_clients(mesh: Mesh, service: Service, port: Port, proxies: Iterable[Proxy]) -> list[str]:
    """Connected proxies that see the service and would call it in plain text, and why."""
    found = []
    for proxy in proxies:
        scope = (
            mesh.open_scope(proxy.namespace) if proxy.type == "router" else mesh.scope(proxy.namespace, proxy.labels)
        )
        seen = scope.service(service.hostname)
        if seen is None or seen.key != service.key:
            continue
        name = f"{proxy.name}.{proxy.namespace}"
        rule = mesh.rule(service, proxy.namespace, proxy.labels)
        tls = effective(rule, port.number).tls
        if not certified(mesh, proxy):
            found.append(f"{name} has no certificate")
        elif rule is not None and tls is not None and tls.mode is ClientTLSMode.DISABLE:
            found.append(f"{name} is told so by {' '.join((rule.origin[0], '/'.join(rule.origin[1:])))}")
    return sorted(found)
