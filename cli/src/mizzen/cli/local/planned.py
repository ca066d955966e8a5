"""Where the pods of a configuration will listen, told before any of them runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mizzen.api.kubernetes import Service
from mizzen.api.resource import Resource
from mizzen.cli.local import layout
from mizzen.cli.local.desired import pod_templates
from mizzen.cli.local.pod import serving
from mizzen.cli.local.reconcile import reconcile
from mizzen.pilot.ingest.registry.objects import Serving, endpoint_slices

SIDECAR_PORTS = (layout.ADMIN_PORT, layout.HTTP_PROXY_PORT, layout.HEALTH_PORT, layout.METRICS_PORT)


def workload_addresses(resources: Iterable[Resource], numbers: Mapping[str, int]) -> list[tuple[str, int]]:
    """The listening addresses of sidecars and applications; `numbers` are those of the last run, as `allot` takes them.

    A sidecar listens on its own ports and on those that Services send to its pod, an application on its containers'.
    """
    known = list(resources)
    templates = pod_templates(known)
    allotted = dict(numbers)
    used: set[int] = set()
    pods: list[Serving] = []
    found: list[tuple[str, int]] = []
    for action in reconcile(templates, ()):
        template = templates[action.key.namespace, action.key.deployment]
        number = allotted[str(action.key)] = layout.allot(str(action.key), allotted, used)
        used.add(number)
        pods.append(serving(action.key, template, number, ready=True))
        found.extend((layout.sidecar_address(number), port) for port in SIDECAR_PORTS)
        containers = template.containers
        found.extend((layout.app_address(number), port.container_port) for item in containers for port in item.ports)
    services = (item for item in known if isinstance(item.spec, Service))
    for part in endpoint_slices(services, pods):
        for endpoint in part["endpoints"]:
            found.extend((endpoint["addresses"][0], port["port"]) for port in part["ports"])
    return list(dict.fromkeys(found))
