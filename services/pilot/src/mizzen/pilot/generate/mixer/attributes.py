"""Attributes that configuration states, instead of the proxy finding them out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, TypeAlias

from mizzen.pilot.snapshot.proxy import Proxy
from mizzen.pilot.snapshot.service import Service
from mizzen.proto import attributes_pb2

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Attributes: TypeAlias = tuple[tuple[str, str | int | Address], ...]


def uid(proxy: Proxy) -> str:
    """The attribute by which Mixer knows a pod."""
    return f"kubernetes://{proxy.name}.{proxy.namespace}"


def client_attributes(proxy: Proxy) -> Attributes:
    """Of requests that leave through the proxy."""
    return (
        ("source.uid", uid(proxy)),
        ("source.namespace", proxy.namespace),
        ("context.reporter.uid", uid(proxy)),
        ("context.reporter.kind", "outbound"),
    )


def server_attributes(proxy: Proxy, port: int) -> Attributes:
    """Of requests to the proxy's own application; `port` 0 is left out."""
    place: Attributes = (("destination.port", port),) if port else ()
    return (
        ("destination.uid", uid(proxy)),
        ("destination.namespace", proxy.namespace),
        ("destination.ip", ipaddress.ip_address(proxy.addresses[0])),
        *place,
        ("context.reporter.uid", uid(proxy)),
        ("context.reporter.kind", "inbound"),
    )


def service_attributes(service: Service) -> Attributes:
    """Of requests to a service."""
    return (
        ("destination.service", service.hostname),
        ("destination.service.host", service.hostname),
        ("destination.service.name", service.name),
        ("destination.service.namespace", service.namespace),
        ("destination.service.uid", f"istio://{service.namespace}/services/{service.name}"),
    )


def message(attributes: Iterable[tuple[str, str | int | Address]]) -> Any:
    """istio.mixer.v1.Attributes; IP addresses have 16 bytes, as Istio's."""
    found = attributes_pb2.Attributes()
    for name, value in attributes:
        entry = found.attributes[name]
        if isinstance(value, str):
            entry.string_value = value
        elif isinstance(value, int):
            entry.int64_value = value
        else:
            entry.bytes_value = _sixteen_bytes(value)
    return found


def texts(attributes: Iterable[tuple[str, str | int | Address]]) -> dict[str, str]:
    """The same for Envoy, whose configuration knows only texts."""
    return {name: str(value) for name, value in attributes}


def _sixteen_bytes(address: Address) -> bytes:
    return address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed
