"""kubernetesenv's parameters and look-ups."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import ClassVar

from mizzen.api.types import Duration, Model
from mizzen.attributes.values import Value
from mizzen.mixer.adapter import AdapterError, Environment, Handler
from mizzen.mixer.adapters.base import HandlerBase, as_kind
from mizzen.mixer.adapters.defaults import DEFAULTS
from mizzen.mixer.adapters.kubernetesenv.attributes import container_of, describe
from mizzen.mixer.adapters.kubernetesenv.pods import PodResource, Pods, PodsFrom, folder_source
from mizzen.mixer.adapters.params import read
from mizzen.mixer.templates import Instance, Kubernetes

log = logging.getLogger(__name__)


class Params(Model):
    """Istio's two are accepted for its YAML's sake; `registry_path` is Mizzen's own, a folder with Pods."""

    kubeconfig_path: str = ""
    cache_refresh_duration: Duration = timedelta(minutes=5)
    registry_path: str = ""


class KubernetesEnvHandler(HandlerBase):
    """Looks pods up in memory."""

    revision: int = 0

    def __init__(self, source: PodsFrom) -> None:
        self._pods = Pods(())
        self._source = source(self._take)

    async def start(self) -> None:
        """Know the pods before the first request."""
        await self._source.start()

    async def generate(self, instance: Instance) -> Mapping[str, Value]:
        wanted = as_kind(instance, Kubernetes)
        found: dict[str, Value] = {}
        destination = self._find(wanted.destination_uid, wanted.destination_ip)
        if destination is not None:
            found |= describe(destination, "destination")
            if container := container_of(destination, wanted.destination_port):
                found["destination_container_name"] = container
        source = self._find(wanted.source_uid, wanted.source_ip)
        if source is not None:
            found |= describe(source, "source")
        return found

    async def close(self) -> None:
        await self._source.close()

    def _find(self, uid: str, address: IPv4Address | IPv6Address) -> PodResource | None:
        """By uid where there is one, and by address only where there is none."""
        if uid:
            return self._pods.find(uid)
        return None if address.is_unspecified else self._pods.find(str(address))

    def _take(self, pods: Pods) -> None:
        self._pods = pods
        self.revision += 1


class KubernetesEnv:
    """Builds handlers that know the pods of Mixer's registry folder, or of the API server that Mixer follows."""

    name: ClassVar[str] = "kubernetesenv"
    templates: ClassVar[frozenset[str]] = frozenset({"kubernetes"})

    async def build(self, params: Mapping[str, object], environment: Environment) -> Handler:
        known = read(Params, params)
        handler = KubernetesEnvHandler(_source(known))
        await handler.start()
        return handler


def _source(params: Params) -> PodsFrom:
    root = Path(params.registry_path) if params.registry_path else DEFAULTS.registry
    source = partial(folder_source, root) if root is not None else DEFAULTS.pods
    if source is None:
        raise AdapterError(
            "registryPath: is required where Mixer has neither a registry folder nor a cluster of its own"
        )
    return source


ADAPTER = KubernetesEnv()
