"""Pods, by name and by address, and where they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol, cast

from mizzen.api.kubernetes import Pod, PodPhase, PodStatus
from mizzen.api.parse import parse
from mizzen.api.resource import Resource
from mizzen.mixer.adapters.folder import Folder

PodResource = Resource[Pod]
_GONE = (PodPhase.SUCCEEDED, PodPhase.FAILED)


class Pods:
    """An index, built once and never changed."""

    def __init__(self, pods: Iterable[PodResource]) -> None:
        self._by_name: dict[str, PodResource] = {}
        self._by_address: dict[str, PodResource] = {}
        for pod in pods:
            self._by_name[f"{pod.metadata.name}.{pod.metadata.namespace}"] = pod
            status = pod.status
            if isinstance(status, PodStatus) and not pod.spec.host_network and status.phase not in _GONE:
                for address in (status.pod_ip, *(ip.ip for ip in status.pod_ips)):
                    if address:
                        self._by_address[str(ip_address(address))] = pod

    def find(self, key: str) -> PodResource | None:
        """By `kubernetes://<pod>.<namespace>`, the same without scheme, or an address."""
        name = key.removeprefix("kubernetes://")
        return self._by_name.get(name) or self._by_address.get(name)


class PodSource(Protocol):
    """Gives pods, and again whenever they change."""

    async def start(self) -> None:
        """Give the first ones before returning."""

    async def close(self) -> None: ...


PodsFrom = Callable[[Callable[[Pods], None]], PodSource]
"""Makes a source that tells this function of the pods."""


def folder_source(root: Path, on_change: Callable[[Pods], None]) -> PodSource:
    """The Pods in a folder of YAML, such as the local runtime's registry."""

    def take(pods: Sequence[PodResource]) -> None:
        on_change(Pods(pods))

    return Folder(root, _pods_in, take)


def _pods_in(text: str, path: Path) -> Sequence[PodResource]:
    """A file without any good object keeps what it had before; others may stand beside Pods and do not count."""
    parsed = parse(text, file=str(path))
    if parsed.errors and not parsed.resources:
        raise ValueError(str(parsed.errors[0]))
    return [cast("PodResource", resource) for resource in parsed.resources if isinstance(resource.spec, Pod)]
