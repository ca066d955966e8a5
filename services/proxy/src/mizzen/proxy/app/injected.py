"""What injection leaves for the agent beside flags: the variable PROXY_CONFIG, and files of the downward API."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VARIABLE = "PROXY_CONFIG"
POD_INFO = "/etc/istio/pod"
POD_INFO_VARIABLE = "MIZZEN_PROXY_POD_INFO_DIR"
"""Another folder in place of that."""
STATUS_PORT = "status.sidecar.istio.io/port"
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_UNITS = (3600.0, 60.0, 1.0, 0.001)


@dataclass(frozen=True, slots=True)
class PodInfo:
    """The Pod's metadata."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


def is_injected(environment: Mapping[str, str]) -> bool:
    """Whether the injector made this container."""
    return VARIABLE in environment


def read_pod_info(environment: Mapping[str, str]) -> PodInfo:
    """Of the files `labels` and `annotations`; empty where there are none. Raises ValueError."""
    folder = Path(environment.get(POD_INFO_VARIABLE, POD_INFO))
    return PodInfo(_pairs(folder / "labels"), _pairs(folder / "annotations"))


def _pairs(file: Path) -> dict[str, str]:
    """Lines of name="value", escaped as in Go."""
    try:
        lines = file.read_text().split("\n")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    pairs: dict[str, str] = {}
    for number, line in enumerate(filter(None, lines), 1):
        name, found, quoted = line.partition("=")
        try:
            value = ast.literal_eval(quoted)
        except (ValueError, SyntaxError):
            value = None
        if not found or not isinstance(value, str):
            raise ValueError(f'{file}, line {number}: must be <name>="<value>", not {line!r}')
        pairs[name] = value
    return pairs


def read_proxy_config(environment: Mapping[str, str]) -> dict[str, Any]:
    """Istio's ProxyConfig, YAML or JSON; raises ValueError."""
    text = environment.get(VARIABLE, "")
    if not text.strip():
        return {}
    try:
        config: Any = json.loads(text)
    except ValueError:
        config = _yaml(text)
    if not isinstance(config, dict) or not isinstance(config.get("proxyMetadata") or {}, dict):
        raise ValueError(f"{VARIABLE} must be a mapping, and proxyMetadata in it too")
    return config


def _yaml(text: str) -> Any:
    import yaml  # injection writes JSON: only for texts of people

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{VARIABLE} is not YAML: {' '.join(str(error).split())}") from None


def variables(environment: Mapping[str, str], pod_info: PodInfo) -> dict[str, str]:
    """The fields of PROXY_CONFIG that the agent has a use for, as the variables of its flags; raises ValueError.

    `proxyMetadata` are variables themselves. `holdApplicationUntilProxyStarts` is the injector's.
    """
    config = read_proxy_config(environment)
    if STATUS_PORT in pod_info.annotations:
        config["statusPort"] = pod_info.annotations[STATUS_PORT]
    found = {name: _text(value) for name, value in (config.get("proxyMetadata") or {}).items()}
    for name, variable in (
        ("discoveryAddress", "MIZZEN_PROXY_DISCOVERY_ADDRESS"),
        ("concurrency", "MIZZEN_PROXY_CONCURRENCY"),
        ("statusPort", "MIZZEN_PROXY_AGENT_PORT"),
    ):
        if config.get(name) is not None:
            found[variable] = _text(config[name])
    if config.get("proxyAdminPort"):
        found["MIZZEN_PROXY_ADMIN_ADDRESS"] = f"127.0.0.1:{config['proxyAdminPort']}"
    if config.get("terminationDrainDuration") is not None:
        found["MIZZEN_PROXY_DRAIN_SECONDS"] = f"{_seconds(config['terminationDrainDuration']):g}"
    return found


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _seconds(text: object) -> float:
    parts = _DURATION.fullmatch(str(text))
    if parts is None or not any(parts.groups()):
        raise ValueError(f"{VARIABLE}: terminationDrainDuration must be a duration like 5s or 1m30s, not {text!r}")
    return sum(float(part) * unit for part, unit in zip(parts.groups(), _UNITS, strict=True) if part)
