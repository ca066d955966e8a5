"""What a template may look at: one Pod with everything that applies to it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from mizzen.injector.injection import names
from mizzen.injector.injection.annotations import parse_bool
from mizzen.injector.injection.names import INIT, PROXY, Object
from mizzen.injector.injection.owner import Owner
from mizzen.injector.injection.pods import annotations_of, containers_of, labels_of
from mizzen.injector.injection.proxyconfig import ProxyConfig, read_proxy_config
from mizzen.injector.injection.quantity import parse_quantity
from mizzen.injector.injection.settings import MeshConfig, Settings, Values

DEFAULT_CLUSTER = "Kubernetes"
WORKERS_WITHOUT_RESOURCES = 2
MAX_WORKERS = 64
_VARIANTS = ("-distroless", "-debug")


@dataclass(frozen=True, slots=True)
class Subject:
    """A Pod as its author wrote it, its owner, and the settings; annotations have been checked."""

    pod: Object
    owner: Owner
    settings: Settings
    proxy: ProxyConfig
    """Of this Pod: the mesh's, with the annotation `proxy.istio.io/config` over it."""
    cluster: str
    network: str
    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def values(self) -> Values:
        return self.settings.values

    @property
    def mesh(self) -> MeshConfig:
        return self.settings.mesh

    @property
    def native(self) -> bool:
        """Whether the proxy runs as an init container that restarts."""
        said = self.annotations.get(names.NATIVE)
        return self.settings.native_sidecars if said is None else parse_bool(said)

    @property
    def interception(self) -> str:
        return self.annotations.get(names.INTERCEPTION, self.proxy.interception_mode)

    @property
    def status_port(self) -> int:
        """Where the agent answers rewritten probes and scrapes; 0 when it does not.

        The annotation says it, else the ProxyConfig of Pod or mesh, else the chart's value.
        """
        stated = "status_port" in self.proxy.model_fields_set
        port = self.proxy.status_port if stated else self.values.global_.proxy.status_port
        return int(self.annotations.get(names.STATUS_PORT_ANNOTATION, port))

    @property
    def holds_application(self) -> bool:
        """Whether the application waits for a classic sidecar; a native one is always waited for."""
        stated = self.values.global_.proxy.hold_application_until_proxy_starts
        return not self.native and (self.proxy.hold_application_until_proxy_starts or stated)

    @property
    def applications(self) -> list[Object]:
        """The author's containers, without those that are declared to change the injected ones."""
        ours = (PROXY, INIT)
        return [container for container in containers_of(self.pod, "containers") if container["name"] not in ours]

    def annotation(self, name: str, default: str) -> str:
        """The Pod's annotation, or the mesh's default."""
        return self.annotations.get(name, default)

    def image(self, name: str, variant: str = "") -> str:
        """The reference of an image: of hub, tag and variant, or `name` itself when that has a slash."""
        if "/" in name:
            return name
        globally = self.values.global_
        kind = self.annotation("sidecar.istio.io/proxyImageType", variant or globally.variant)
        tag = globally.tag
        if kind:
            tag = next((tag.removesuffix(end) for end in _VARIANTS if tag.endswith(end)), tag)
            tag += "" if kind == "default" else f"-{kind}"
        return f"{globally.hub}/{name}:{tag}"

    @property
    def resources(self) -> Object:
        """Of the proxy. One of the four annotations replaces the mesh's resources as a whole, as in Istio."""
        stated = {
            "requests": {"cpu": "sidecar.istio.io/proxyCPU", "memory": "sidecar.istio.io/proxyMemory"},
            "limits": {"cpu": "sidecar.istio.io/proxyCPULimit", "memory": "sidecar.istio.io/proxyMemoryLimit"},
        }
        own = {
            section: {name: self.annotations[key] for name, key in keys.items() if key in self.annotations}
            for section, keys in stated.items()
        }
        chosen = own if any(own.values()) else self.values.global_.proxy.resources.model_dump(include=set(stated))
        return {section: amounts for section, amounts in chosen.items() if amounts}

    @property
    def workers(self) -> int:
        """As configured; else the CPU limit (or request) rounded up, so that workers do not queue for a core."""
        if self.proxy.concurrency is not None:
            return self.proxy.concurrency
        resources = self.resources
        amount = resources.get("limits", {}).get("cpu") or resources.get("requests", {}).get("cpu")
        if amount is None:
            return WORKERS_WITHOUT_RESOURCES
        return min(max(math.ceil(parse_quantity(amount)), 1), MAX_WORKERS)


def make_subject(pod: Object, owner: Owner, settings: Settings, cluster: str = "", network: str = "") -> Subject:
    """Put it together; cluster and network, from the webhook's path, win over the values."""
    annotations, labels = annotations_of(pod), labels_of(pod)
    proxy = settings.mesh.default_config
    if names.PROXY_CONFIG in annotations:
        proxy = proxy.overlaid(read_proxy_config(annotations[names.PROXY_CONFIG]))
    globally = settings.values.global_
    return Subject(
        pod=pod,
        owner=owner,
        settings=settings,
        proxy=proxy,
        cluster=cluster or globally.multi_cluster.cluster_name or DEFAULT_CLUSTER,
        network=labels.get(names.NETWORK) or network or globally.network,
        labels=labels,
        annotations=annotations,
    )


def to_json(value: object) -> str:
    """Compact, in a fixed order: the same Pod gives the same text."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
