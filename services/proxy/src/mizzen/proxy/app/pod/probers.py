"""What the kubelet asked the application before injection: the variable ISTIO_KUBE_APP_PROBERS."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

VARIABLE = "ISTIO_KUBE_APP_PROBERS"
PROBE_SECONDS = 1.0
"""Kubernetes' default of timeoutSeconds."""
HOOK_SECONDS = 600.0
"""A lifecycle hook has no time-out of its own; the kubelet waits as long as the Pod may take to end."""
_HOOKS = "/app-lifecycle/"
_PATH = re.compile(r"/app-health/[^/]+/(livez|readyz|startupz)|/app-lifecycle/[^/]+/(prestopz|poststartz)")


@dataclass(frozen=True, slots=True)
class HttpGet:
    """The kubelet judges the status; it sends the probe's headers itself, so they need not be known here."""

    port: int
    path: str
    tls: bool


@dataclass(frozen=True, slots=True)
class TcpSocket:
    """Success when a connection comes about."""

    port: int


@dataclass(frozen=True, slots=True)
class Grpc:
    """grpc.health.v1.Health/Check; success when it says SERVING."""

    port: int
    service: str


Action: TypeAlias = HttpGet | TcpSocket | Grpc


@dataclass(frozen=True, slots=True)
class Prober:
    """One question to the application."""

    action: Action
    seconds: float


def read_probers(text: str) -> dict[str, Prober]:
    """By path on the agent's port; raises ValueError that names the entry."""
    if not text:
        return {}
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{VARIABLE} is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise ValueError(f"{VARIABLE} must be a JSON object")
    return {path: _prober(path, entry) for path, entry in data.items()}


def _prober(path: str, entry: Any) -> Prober:
    if not _PATH.fullmatch(path):
        raise ValueError(f"{VARIABLE}: {path!r} is not /app-health/<container>/<livez|readyz|startupz> or the like")
    actions = [name for name in _READERS if isinstance(entry, dict) and isinstance(entry.get(name), dict)]
    if len(actions) != 1:
        raise ValueError(f"{VARIABLE}: {path} must have one of {', '.join(_READERS)}")
    stated = entry.get("timeoutSeconds") or 0
    if not isinstance(stated, int) or stated < 0:
        raise ValueError(f"{VARIABLE}: {path}: timeoutSeconds must be a number of seconds, not {stated!r}")
    usual = HOOK_SECONDS if path.startswith(_HOOKS) else PROBE_SECONDS
    return Prober(_READERS[actions[0]](path, entry[actions[0]]), float(stated) or usual)


def _http(path: str, given: Mapping[str, Any]) -> Action:
    asked = str(given.get("path") or "/")
    scheme = given.get("scheme") or "HTTP"
    if scheme not in ("HTTP", "HTTPS"):
        raise ValueError(f"{VARIABLE}: {path}: scheme must be HTTP or HTTPS, not {scheme!r}")
    return HttpGet(_port(path, given), asked if asked.startswith("/") else f"/{asked}", scheme == "HTTPS")


def _tcp(path: str, given: Mapping[str, Any]) -> Action:
    return TcpSocket(_port(path, given))


def _grpc(path: str, given: Mapping[str, Any]) -> Action:
    return Grpc(_port(path, given), str(given.get("service") or ""))


def _port(path: str, given: Mapping[str, Any]) -> int:
    port = given.get("port")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
        raise ValueError(f"{VARIABLE}: {path}: port must be a number from 1 to 65535, not {port!r}")
    return port


_READERS = {"httpGet": _http, "tcpSocket": _tcp, "grpc": _grpc}
