"""What a person can open once the mesh is up."""

from __future__ import annotations

from collections.abc import Iterable

from mizzen.api.gateway import Gateway
from mizzen.api.resource import Resource
from mizzen.api.virtualservice import StringMatch, VirtualService
from mizzen.cli.local.gateway import LABELS
from mizzen.cli.local.layout import GATEWAY, GATEWAY_PORT


def entry_urls(resources: Iterable[Resource]) -> list[str]:
    """One address for each VirtualService that the ingress gateway serves under any host: its first plain path.

    A rule for certain hosts only is left out: a browser would not send that host to 127.0.0.1.
    """
    known = list(resources)
    doors = {
        (item.metadata.namespace, item.metadata.name)
        for item in known
        if isinstance(item.spec, Gateway)
        and item.spec.selector.items() <= LABELS.items()
        and any(server.port is not None and server.port.number == GATEWAY_PORT for server in item.spec.servers)
    }
    return [
        f"http://{GATEWAY}:{GATEWAY_PORT}{_first_path(item.spec)}"
        for item in sorted(known, key=lambda item: item.key)
        if isinstance(item.spec, VirtualService)
        and "*" in item.spec.hosts
        and any(_gateway_key(name, item.metadata.namespace) in doors for name in item.spec.gateways)
    ]


def _gateway_key(name: str, namespace: str) -> tuple[str, str]:
    before, slash, after = name.partition("/")
    return (before, after) if slash else (namespace, name)


def _first_path(spec: VirtualService) -> str:
    for route in spec.http:
        for match in route.match:
            path = _plain(match.uri) if match.uri is not None else None
            if path is not None:
                return path
        if not route.match:
            return "/"
    return "/"


def _plain(match: StringMatch) -> str | None:
    return match.exact or match.prefix
