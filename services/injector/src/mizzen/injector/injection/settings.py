"""What an injector works with: the chart's values, the mesh config, and the injector's own policy and templates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field

from mizzen.api.types import Bool, KubernetesModel, UInt32
from mizzen.injector.injection.names import INBOUND_PORT, OUTBOUND_PORT
from mizzen.injector.injection.proxyconfig import M, Port, ProxyConfig, Text, read_model
from mizzen.injector.injection.selector import LabelSelector


class Resources(KubernetesModel):
    """Of a container."""

    requests: dict[str, Text] = Field(default_factory=lambda: {"cpu": "100m", "memory": "128Mi"})
    limits: dict[str, Text] = Field(default_factory=lambda: {"cpu": "2000m", "memory": "1024Mi"})


class StartupProbe(KubernetesModel):
    """Of the proxy."""

    enabled: Bool = True
    failure_threshold: UInt32 = 600


class ProxyValues(KubernetesModel):
    """`global.proxy`."""

    image: str = "proxy"
    """A name under `global.hub`, or a whole reference with a slash."""
    cluster_domain: str = "cluster.local"
    log_level: str = "warning"
    resources: Resources = Resources()
    include_ip_ranges: str = Field("*", alias="includeIPRanges")
    exclude_ip_ranges: str = Field("", alias="excludeIPRanges")
    include_inbound_ports: Text = "*"
    exclude_inbound_ports: Text = ""
    include_outbound_ports: Text = ""
    exclude_outbound_ports: Text = ""
    readiness_initial_delay_seconds: UInt32 = 0
    readiness_period_seconds: UInt32 = 15
    readiness_failure_threshold: UInt32 = 4
    startup_probe: StartupProbe = StartupProbe()
    status_port: Port = 15020
    hold_application_until_proxy_starts: Bool = False
    cap_net_bind_service: Bool = False
    privileged: Bool = False
    lifecycle: dict[str, Any] = Field(default_factory=dict)
    """In place of what the injector would put there."""
    seccomp_profile: dict[str, Any] = Field(default_factory=dict)


class ProxyInitValues(KubernetesModel):
    """`global.proxy_init`."""

    image: str = "proxy-init"
    force_apply_iptables: Bool = False


class Logging(KubernetesModel):
    """`global.logging`: Istio's form, `scope:level,...`."""

    level: str = "default:info"


class MultiCluster(KubernetesModel):
    """`global.multiCluster`."""

    cluster_name: str = ""


class Global(KubernetesModel):
    """`global`."""

    hub: str = "mizzen"
    tag: Text = "0.1.0"
    variant: str = ""
    image_pull_policy: str = ""
    image_pull_secrets: tuple[str, ...] = ()
    istio_namespace: str = "istio-system"
    ca_address: str = ""
    pilot_cert_provider: str = "istiod"
    trust_bundle_name: str = "istio-ca-root-cert"
    log_as_json: Bool = False
    logging: Logging = Logging()
    mesh_id: str = Field("", alias="meshID")
    network: str = ""
    multi_cluster: MultiCluster = MultiCluster()
    proxy: ProxyValues = ProxyValues()
    proxy_init: ProxyInitValues = Field(ProxyInitValues(), alias="proxy_init")


class InjectorWebhookValues(KubernetesModel):
    """`sidecarInjectorWebhook`."""

    rewrite_app_http_probe: Bool = Field(True, alias="rewriteAppHTTPProbe")


class Values(KubernetesModel):
    """The chart's values, as far as injection reads them, with the chart's defaults."""

    revision: str = ""
    global_: Global = Global()
    sidecar_injector_webhook: InjectorWebhookValues = InjectorWebhookValues()


class InboundTrafficPolicy(KubernetesModel):
    """`LOCALHOST`: the application is called at the loopback address."""

    mode: Literal["PASSTHROUGH", "LOCALHOST"] = "PASSTHROUGH"


class MeshConfig(KubernetesModel):
    """Istio's MeshConfig, as far as injection reads it."""

    proxy_listen_port: Port = OUTBOUND_PORT
    proxy_inbound_listen_port: Port = INBOUND_PORT
    enable_prometheus_merge: Bool = True
    trust_domain: str = "cluster.local"
    inbound_traffic_policy: InboundTrafficPolicy = InboundTrafficPolicy()
    default_config: ProxyConfig = ProxyConfig()


class Policy(KubernetesModel):
    """The injector's own configuration: whom it injects by default, and with which templates."""

    policy: str = "enabled"
    """`enabled` or `disabled`; anything else counts as disabled, as in Istio."""
    never_inject_selector: tuple[LabelSelector, ...] = ()
    always_inject_selector: tuple[LabelSelector, ...] = ()
    templates: dict[str, str] = Field(default_factory=dict)
    """Partial Pods in YAML (`template.py`), beside the built-in `sidecar` and `gateway`, or in their place."""
    default_templates: tuple[str, ...] = ("sidecar",)
    aliases: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    injected_annotations: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that injection depends on, apart from the Pod."""

    values: Values = field(default_factory=Values)
    mesh: MeshConfig = field(default_factory=MeshConfig)
    policy: Policy = field(default_factory=Policy)
    native_sidecars: bool = False
    """Whether every node of the cluster runs init containers that restart (all have since Kubernetes 1.29)."""

    @property
    def revision(self) -> str:
        return self.values.revision or "default"


def read_settings(values: str = "", mesh: str = "", policy: str = "", *, native_sidecars: bool = False) -> Settings:
    """Read the three YAML texts; raises ValueError that names the text and the field."""
    return Settings(
        _part("values", Values, values),
        _part("mesh config", MeshConfig, mesh),
        _part("injection config", Policy, policy),
        native_sidecars,
    )


def _part(name: str, model: type[M], text: str) -> M:
    try:
        return read_model(model, text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
