"""Where the application's metrics are: the variable ISTIO_PROMETHEUS_ANNOTATIONS."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

VARIABLE = "ISTIO_PROMETHEUS_ANNOTATIONS"
RESERVED_PORTS = frozenset({15000, 15001, 15004, 15006, 15008, 15020, 15021, 15053, 15090})
"""The proxy's own: to scrape them again would count twice, or never end."""


@dataclass(frozen=True, slots=True)
class Target:
    """A page of the application."""

    port: int
    path: str


def read_targets(text: str, own_port: int) -> tuple[Target, ...]:
    """None when the Pod said nothing, or that it is not to be scraped. Raises ValueError."""
    if not text:
        return ()
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{VARIABLE} is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise ValueError(f"{VARIABLE} must be a JSON object")
    if data.get("scrape") == "false":
        return ()
    stated = data.get("targets") or [data]
    if not isinstance(stated, list) or not all(isinstance(item, dict) for item in stated):
        raise ValueError(f"{VARIABLE}: targets must be a list of objects with port and path")
    return tuple(_target(item, own_port) for item in stated)


def _target(given: dict[str, Any], own_port: int) -> Target:
    port, path = str(given.get("port") or "80"), str(given.get("path") or "/metrics")
    if not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 65536:
        raise ValueError(f"{VARIABLE}: port must be a number from 1 to 65535, not {port!r}")
    if int(port) in RESERVED_PORTS | {own_port}:
        raise ValueError(f"{VARIABLE}: port {port} belongs to the proxy; name the application's own")
    return Target(int(port), path if path.startswith("/") else f"/{path}")
