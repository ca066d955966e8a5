"""Istio's ProxyConfig: mesh-wide under `defaultConfig`, and for one Pod in the annotation `proxy.istio.io/config`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from mizzen.api.types import Bool, Duration, DurationOrZero, KubernetesModel, Model, UInt32
from mizzen.api.wording import location, message, path_text, show
from mizzen.injector.injection.names import ADMIN_PORT, STATUS_PORT

M = TypeVar("M", bound=Model)

Interception = Literal["REDIRECT", "TPROXY", "NONE"]
Port = Annotated[UInt32, Field(le=65535)]
"""A port, or 0 for none."""


def _text_or_number(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[str, BeforeValidator(_text_or_number)]
"""Text that YAML may have read as a number or as true."""


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"must be <host>:<port>, got {show(value)}")
    return value


class Image(KubernetesModel):
    """The variant of the proxy's image."""

    image_type: Literal["", "default", "debug", "distroless"] = ""


class ProxyConfig(Model):
    """What the injector reads is typed; the rest is known by name and handed on to the proxy."""

    discovery_address: Annotated[str, AfterValidator(_address)] | None = None
    concurrency: Annotated[UInt32, Field(le=64)] | None = None
    """Workers; 0: one a core. Unset: from the CPU limit of the container."""
    drain_duration: DurationOrZero | None = None
    termination_drain_duration: Duration | None = None
    status_port: Port = STATUS_PORT
    proxy_admin_port: Port = ADMIN_PORT
    interception_mode: Interception = "REDIRECT"
    hold_application_until_proxy_starts: Bool = False
    proxy_metadata: dict[str, Text] = Field(default_factory=dict)
    runtime_values: dict[str, Text] = Field(default_factory=dict)
    image: Image = Image()
    config_path: Any = None
    binary_path: Any = None
    service_cluster: Any = None
    tracing_service_name: Any = None
    control_plane_auth_policy: Any = None
    custom_config_file: Any = None
    stat_name_length: Any = None
    proxy_bootstrap_template_path: Any = None
    tracing: Any = None
    sds: Any = None
    envoy_access_log_service: Any = None
    envoy_metrics_service: Any = None
    gateway_topology: Any = None
    extra_stat_tags: Any = None
    proxy_stats_matcher: Any = None
    readiness_probe: Any = None
    mesh_id: Any = None
    private_key_provider: Any = None
    ca_certificates_pem: Any = None
    proxy_headers: Any = None
    zipkin_address: Any = None
    stats_compression: Any = None
    file_flush_interval: Any = None
    file_flush_min_size_kb: Any = Field(None, alias="fileFlushMinSizeKb")
    caller_telemetry: Any = None

    def stated(self) -> dict[str, Any]:
        """What was set, as JSON with Istio's names."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)

    def overlaid(self, other: ProxyConfig) -> ProxyConfig:
        """Fields of `other` win; the maps of proxyMetadata and runtimeValues are merged."""
        below, above = self.stated(), other.stated()
        merged = below | above
        for name in ("proxyMetadata", "runtimeValues"):
            if name in merged:
                merged[name] = below.get(name, {}) | above.get(name, {})
        return ProxyConfig.model_validate(merged)


def read_proxy_config(text: str) -> ProxyConfig:
    """Read YAML; raises ValueError that names the field."""
    return read_model(ProxyConfig, text)


def read_model(model: type[M], text: str) -> M:
    """A mapping in YAML as one of our models; raises ValueError that names every wrong field."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"this is not YAML: {' '.join(str(error).split())}") from error
    if data is None:
        data = {}
    if not isinstance(data, Mapping):
        raise ValueError(f"must be a mapping of fields, got {show(data)}")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        wrong = (f"{path_text(location(item))}: {message(item, model)}" for item in error.errors())
        raise ValueError("; ".join(wrong)) from error
