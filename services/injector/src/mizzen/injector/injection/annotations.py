"""Checks of every annotation that has a form: a bad value is an error that names the annotation."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from mizzen.injector.injection import names
from mizzen.injector.injection.names import InjectionError
from mizzen.injector.injection.proxyconfig import read_proxy_config
from mizzen.injector.injection.quantity import parse_quantity

_INTERFACE = re.compile(r"[a-zA-Z][a-zA-Z0-9_.\-]{0,14}")
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_LEVELS = ("trace", "debug", "info", "warning", "warn", "error", "critical", "fatal", "none", "off")


def check_annotations(annotations: Mapping[str, str]) -> None:
    """Raise InjectionError that lists every annotation with a bad value."""
    problems = []
    for name, value in annotations.items():
        if name not in CHECKS:
            continue
        try:
            CHECKS[name](value)
        except ValueError as error:
            problems.append(f"annotation {name}: {error}")
        except RecursionError:
            problems.append(f"annotation {name}: is nested too deeply to be read")
    if problems:
        raise InjectionError("; ".join(problems))


def ineffective(annotations: Mapping[str, str]) -> list[str]:
    """A warning for each annotation of Istio that this mesh reads nowhere."""
    return [f"annotation {name} has no effect: {NO_EFFECT[name]}" for name in annotations if name in NO_EFFECT]


def parse_bool(text: str) -> bool:
    """Go's spellings, as Istio takes them; raises ValueError."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f'must be "true" or "false", got {text!r}')


def parse_ports(text: str) -> list[int]:
    """Ports divided by commas, in their order; raises ValueError."""
    return [parse_port(part) for part in text.split(",")] if text.strip() else []


def parse_port(text: str) -> int:
    """A port, or 0; raises ValueError."""
    number = text.strip()
    if not (number.isascii() and number.isdecimal() and int(number) <= 65535):
        raise ValueError(f"must be a port from 0 to 65535, got {text!r}")
    return int(number)


def parse_mapping(text: str) -> dict[str, Any]:
    """A JSON object of objects; raises ValueError."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ValueError(f"must be JSON: {error}") from None
    if not isinstance(data, dict) or not all(isinstance(value, dict) for value in data.values()):
        raise ValueError("must be a JSON object that maps names to objects")
    return data


def _ports_or_star(text: str) -> None:
    if text != "*":
        parse_ports(text)


def _networks(text: str) -> None:
    for part in text.split(",") if text else ():
        address, slash, _ = part.partition("/")
        try:
            if not slash or address != address.strip():
                raise ValueError
            ipaddress.ip_network(part, strict=False)
        except ValueError:
            raise ValueError(f"must be CIDR blocks such as 10.0.0.0/8, divided by commas, got {part!r}") from None


def _networks_or_star(text: str) -> None:
    if text != "*":
        _networks(text)


def _interfaces(text: str) -> None:
    for part in text.split(",") if text else ():
        if not _INTERFACE.fullmatch(part.strip()):
            raise ValueError(f"must be names of interfaces of at most 15 characters, got {part!r}")


def _unsigned(text: str) -> None:
    if not (text.isascii() and text.isdecimal() and int(text) < 2**32):
        raise ValueError(f"must be a whole number from 0 to 4294967295, got {text!r}")


def _interception(text: str) -> None:
    if text not in ("REDIRECT", "TPROXY", "NONE"):
        raise ValueError(f"must be REDIRECT, TPROXY or NONE, got {text!r}")


def _level(text: str) -> None:
    for part in text.split(","):
        if part.rpartition(":")[2] not in _LEVELS:
            raise ValueError(f"must be a log level ({', '.join(_LEVELS)}), got {text!r}")


def _quantity(text: str) -> None:
    if parse_quantity(text) < 0:
        raise ValueError(f"must not be negative, got {text!r}")


def _overrides(text: str) -> None:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ValueError(f"must be JSON: {error}") from None
    lists = data.values() if isinstance(data, dict) and data.keys() <= set(names.SECTIONS) else [None]
    for items in lists:
        if not isinstance(items, list) or not all(
            isinstance(item, dict) and isinstance(item.get("name"), str) for item in items
        ):
            raise ValueError("must be what the injector wrote there: containers and initContainers with names")


CHECKS: dict[str, Callable[[str], object]] = {
    names.INTERCEPTION: _interception,
    names.STATUS_PORT_ANNOTATION: parse_port,
    "readiness.status.sidecar.istio.io/initialDelaySeconds": _unsigned,
    "readiness.status.sidecar.istio.io/periodSeconds": _unsigned,
    "readiness.status.sidecar.istio.io/failureThreshold": _unsigned,
    "traffic.sidecar.istio.io/includeOutboundIPRanges": _networks_or_star,
    "traffic.sidecar.istio.io/excludeOutboundIPRanges": _networks,
    "traffic.sidecar.istio.io/includeInboundPorts": _ports_or_star,
    "traffic.sidecar.istio.io/excludeInboundPorts": parse_ports,
    "traffic.sidecar.istio.io/includeOutboundPorts": parse_ports,
    "traffic.sidecar.istio.io/excludeOutboundPorts": parse_ports,
    "traffic.sidecar.istio.io/excludeInterfaces": _interfaces,
    "traffic.sidecar.istio.io/kubevirtInterfaces": _interfaces,
    "istio.io/reroute-virtual-interfaces": _interfaces,
    names.MERGE_METRICS: parse_bool,
    names.REWRITE_PROBES: parse_bool,
    names.NATIVE: parse_bool,
    names.BIND_LOW_PORTS: parse_bool,
    names.PROXY_CONFIG: read_proxy_config,
    names.OVERRIDES: _overrides,
    names.USER_VOLUME: parse_mapping,
    names.USER_VOLUME_MOUNT: parse_mapping,
    "sidecar.istio.io/proxyCPU": _quantity,
    "sidecar.istio.io/proxyCPULimit": _quantity,
    "sidecar.istio.io/proxyMemory": _quantity,
    "sidecar.istio.io/proxyMemoryLimit": _quantity,
    "sidecar.istio.io/logLevel": _level,
    "sidecar.istio.io/agentLogLevel": _level,
}

_STATISTICS = "the proxy's counters are fixed"
NO_EFFECT = {
    "sidecar.istio.io/bootstrapOverride": "there is no bootstrap to override",
    "sidecar.istio.io/componentLogLevel": "the proxy has one log level, see sidecar.istio.io/logLevel",
    "sidecar.istio.io/discoveryAddress": "use discoveryAddress in proxy.istio.io/config",
    "sidecar.istio.io/statsInclusionPrefixes": _STATISTICS,
    "sidecar.istio.io/statsInclusionSuffixes": _STATISTICS,
    "sidecar.istio.io/statsInclusionRegexps": _STATISTICS,
    "sidecar.istio.io/statsHistogramBuckets": _STATISTICS,
    "sidecar.istio.io/statsFlushInterval": _STATISTICS,
    "sidecar.istio.io/statsEvictionInterval": _STATISTICS,
    "sidecar.istio.io/extraStatTags": _STATISTICS,
    "readiness.status.sidecar.istio.io/applicationPorts": "readiness asks the proxy, not ports of the application",
}
"""Annotations of Istio that are read nowhere here, and why."""
