"""The services that a proxy itself stands for."""

from __future__ import annotations

from typing import NamedTuple

from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.proxy import Proxy
from mizzen.pilot.snapshot.service import Port, Service


class Target(NamedTuple):
    """A port of a service, and the port where this workload answers for it."""

    service: Service
    port: Port
    number: int


def targets(mesh: Mesh, proxy: Proxy) -> tuple[Target, ...]:
    """What the workload of a proxy serves: by its endpoints, and by selectors for services not yet ready at it.

    Services of other namespaces are none of it, as in Istio: anybody may write down the address of somebody else's
    workload, and would say by that what its ports speak, and so which policies can judge it.
    """
    found: dict[tuple[str, int], Target] = {}
    for address in proxy.addresses:
        for key, endpoint in mesh.by_address.get(address, ()):
            service = mesh.by_key.get(key)
            if service is None or service.namespace != proxy.namespace:
                continue
            for port in service.ports:
                if port.name == endpoint.service_port:
                    found.setdefault((service.hostname, port.number), Target(service, port, endpoint.port))
    for service in mesh.services:
        if service.namespace != proxy.namespace or not service.selector or not service.selector <= proxy.labels:
            continue
        for port in service.ports:
            if isinstance(port.target_port, int):
                number = port.target_port or port.number
                found.setdefault((service.hostname, port.number), Target(service, port, number))
    return tuple(sorted(found.values(), key=lambda target: (target.service.age, target.port.number)))
