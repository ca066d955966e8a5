"""Pieces of Envoy's messages as attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from envoy.config.core.v3 import address_pb2
from google.protobuf.json_format import MessageToDict

from mizzen.attributes.identity import token_attributes
from mizzen.attributes.values import Value, ValueType
from mizzen.attributes.vocabulary import ISTIOPROXY, KUBERNETES

JWT_FILTER = "envoy.filters.http.jwt_authn"
_TYPES = ISTIOPROXY | KUBERNETES
_EPOCH = datetime.fromtimestamp(0, UTC)


def stated(texts: Mapping[str, str]) -> dict[str, Value]:
    """Attributes that a configuration states; a name outside Istio's vocabulary is a STRING.

    Raises ValueError that names the attribute whose text is not of its type.
    """
    attributes: dict[str, Value] = {}
    for name, text in texts.items():
        try:
            attributes[name] = _READERS[_TYPES.get(name, ValueType.STRING)](text)
        except KeyError:
            raise ValueError(f"{name} cannot be stated: it is of type {_TYPES[name].name}") from None
        except ValueError as error:
            raise ValueError(f"{name} is of type {_TYPES[name].name}, not {text!r}") from error
    return attributes


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


_READERS: dict[ValueType, Callable[[str], Value]] = {
    ValueType.STRING: str,
    ValueType.INT64: int,
    ValueType.BOOL: _boolean,
    ValueType.IP_ADDRESS: ip_address,
}


def put_address(
    attributes: dict[str, Value], side: str, address: address_pb2.Address, *, port: str | None = None
) -> None:
    """Set `<side>.ip`, and the attribute that `port` names, from an address that is an IP address."""
    socket = address.socket_address
    ip = _ip(socket.address)
    if ip is None:
        return
    attributes[f"{side}.ip"] = ip
    if port is not None and socket.port_value:
        attributes[port] = socket.port_value


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    try:
        ip = ip_address(text)
    except ValueError:  # a pipe, an internal listener, or nothing at all
        return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def put_claims(attributes: dict[str, Value], filters: Mapping[str, Any]) -> None:
    """The JWT that Envoy verified; its filter leaves the claims as metadata, under a name of the user's choice."""
    if JWT_FILTER not in filters:
        return
    for payload in filters[JWT_FILTER].fields.values():
        claims = MessageToDict(payload.struct_value)
        if "iss" in claims:
            attributes.update(token_attributes(claims))
            return


def instant(message: Any) -> datetime:
    """A Timestamp; raises OverflowError for what Python cannot hold."""
    return _EPOCH + timedelta(0, message.seconds, message.nanos // 1000)


def length(message: Any) -> timedelta:
    """A Duration; raises OverflowError for what Python cannot hold."""
    return timedelta(0, message.seconds, int(message.nanos / 1000))
