"""The file of mesh-wide settings: Istio's MeshConfig as far as generation reads it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, ValidationError

from mizzen.api.types import Bool, DurationOrZero, Model, Port, UInt32
from mizzen.pilot.app.extensionproviders import ExtensionProvider, authorizers, unique
from mizzen.pilot.base.meshconfig import MeshConfig, PathNormalization
from mizzen.runtime.errors import StartError

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
DEFAULTS = MeshConfig()


class OutboundTrafficPolicy(Model):
    """What becomes of traffic to unknown hosts."""

    mode: Literal["ALLOW_ANY", "REGISTRY_ONLY"] = "ALLOW_ANY"


class NormalizedPaths(Model):
    """What is done to a request's path before routes and policies see it."""

    normalization: PathNormalization = "DEFAULT"


def _server_address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if text and not (host and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"must be <host>:<port> of a service in the mesh, not {text!r}")
    return text


ServerAddress = Annotated[str, AfterValidator(_server_address)]


class MeshConfigFile(Model):
    """The fields that may stand in the file; defaults are those of `MeshConfig`."""

    access_log_file: str | None = None
    access_log_format: str | None = None
    access_log_encoding: Literal["TEXT", "JSON"] | None = None
    outbound_traffic_policy: OutboundTrafficPolicy | None = None
    connect_timeout: DurationOrZero | None = None
    protocol_detection_timeout: DurationOrZero | None = None
    dns_refresh_rate: DurationOrZero | None = None
    proxy_listen_port: Port | None = None
    proxy_inbound_listen_port: Port | None = None
    proxy_http_port: UInt32 | None = None
    mixer_check_server: ServerAddress | None = None
    mixer_report_server: ServerAddress | None = None
    disable_policy_checks: Bool | None = None
    policy_check_fail_open: Bool | None = None
    enable_client_side_policy_check: Bool | None = None
    disable_mixer_http_reports: Bool | None = None
    via_header: Bool | None = None
    reason_header: Bool | None = None
    enable_auto_mtls: Bool | None = None
    trust_domain: str | None = None
    trust_domain_aliases: tuple[str, ...] | None = None
    path_normalization: NormalizedPaths | None = None
    extension_providers: Annotated[tuple[ExtensionProvider, ...], AfterValidator(unique)] | None = None
    root_namespace: str | None = None
    domain_suffix: str | None = None


def parse_mesh_config(text: str, defaults: MeshConfig = DEFAULTS) -> MeshConfig:
    """Read YAML; `defaults` has what it does not state. Raises ValueError naming the fields that are wrong."""
    try:
        data = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"this is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise ValueError("the mesh config must be a mapping of fields")
    try:
        stated = MeshConfigFile.model_validate(data)
    except ValidationError as error:
        wrong = (f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors())
        raise ValueError("; ".join(wrong)) from error
    values = {name: _plain(getattr(stated, name)) for name in stated.model_fields_set}
    providers = values.pop("extension_providers", None)
    if providers is not None:
        values["authorizers"] = authorizers(providers)
    return replace(defaults, **{name: value for name, value in values.items() if value is not None})


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, NormalizedPaths):
        return value.normalization
    return value.mode if isinstance(value, OutboundTrafficPolicy) else value


class MeshConfigSource:
    """The settings of the mesh, from a file that may change; a bad file keeps the last good settings."""

    def __init__(self, path: Path | None, defaults: MeshConfig = DEFAULTS) -> None:
        self._path = path
        self._text = ""
        self._complaint = ""
        """What is wrong with the file now; told once."""
        self._defaults = defaults
        self.settings = defaults

    def load(self) -> None:
        """Read for the first time; raises StartError, because a mesh should not start with settings nobody chose."""
        if self._path is None:
            return
        try:
            self._text = self._path.read_text(encoding="utf-8")
            self.settings = parse_mesh_config(self._text, self._defaults)
        except (OSError, ValueError) as error:
            raise StartError(f"mesh config {self._path}: {error}") from error

    async def watch(self, on_change: Callable[[], None]) -> None:
        """Follow changes until cancelled."""
        while self._path is not None:
            await asyncio.sleep(POLL_SECONDS)
            if self._reload(self._path):
                on_change()

    def _reload(self, path: Path) -> bool:
        """True when the settings are different now."""
        before = self.settings
        try:
            text = path.read_text(encoding="utf-8")
            if text != self._text:
                self.settings = parse_mesh_config(text, self._defaults)
                self._text = text
            self._complaint = ""
        except (OSError, ValueError) as error:
            if str(error) != self._complaint:
                log.warning("Mesh config %s: %s; the last settings stay in use", path, error)
            self._complaint = str(error)
        return self.settings != before
