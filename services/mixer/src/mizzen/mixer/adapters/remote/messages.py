"""Instances to messages, and answers back. Source: mixer/template and policy/v1beta1 at Istio 1.0.9."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from google.protobuf.message import Message

from mizzen.attributes.values import Value, ValueType
from mizzen.mixer.adapters.text import text_of
from mizzen.mixer.templates import NO_ADDRESS, NO_TIME, Instance
from mizzen.proto import adapter_value_pb2 as values

Types = Mapping[str, ValueType]
_TEXTS = {
    ValueType.EMAIL_ADDRESS: "email_address_value",
    ValueType.DNS_NAME: "dns_name_value",
    ValueType.URI: "uri_value",
}


def fill_instance(message: Message, instance: Instance, types: Types) -> None:
    """Write an instance into its template's InstanceMsg. `types` tells names and addresses from other texts."""
    _fill(message, instance, types, "")


def fill_types(message: Message, types: Types) -> None:
    """Write what is known of an instance's types into its template's Type."""
    for path, kind in types.items():
        at: Any = message
        *parents, last = path.split(".") if path.startswith(("subject.", "action.")) else path.split(".", 1)
        for name in parents:
            at = getattr(at, name, None)
        if at is None:
            continue
        if isinstance(at, Message):
            if last in at.DESCRIPTOR.fields_by_name:
                setattr(at, last, int(kind))
        else:
            at[last] = int(kind)


def read_output(message: Message) -> dict[str, Value]:
    """The attributes in a template's OutputMsg; what is empty was not known."""
    return {field.name: _read(value) for field, value in message.ListFields()}


def to_value(value: Value, kind: ValueType = ValueType.UNSPECIFIED) -> values.Value:
    """A value as Istio's adapters get it."""
    match value:
        case str():
            message = values.Value()
            if kind in _TEXTS:
                getattr(message, _TEXTS[kind]).value = value
            else:
                message.string_value = value
            return message
        case bool():
            return values.Value(bool_value=value)
        case int():
            return values.Value(int64_value=value)
        case float():
            return values.Value(double_value=value)
        case timedelta():
            return values.Value(duration_value=values.Duration(value=value))
        case datetime():
            return values.Value(timestamp_value=values.TimeStamp(value=value))
        case Mapping():
            return values.Value(string_map_value=values.StringMap(value=dict(value)))
    data = value if isinstance(value, bytes) else value.packed
    return values.Value(ip_address_value=values.IPAddress(value=data))


def _fill(message: Any, source: Any, types: Types, prefix: str) -> None:
    for field in fields(source):
        value, path = getattr(source, field.name), f"{prefix}{field.name}"
        target = message.DESCRIPTOR.fields_by_name[field.name].message_type
        if is_dataclass(value):
            _fill(getattr(message, field.name), value, types, f"{path}.")
        elif isinstance(value, Mapping) and target is not None and target.GetOptions().map_entry:
            for key, item in value.items():
                kind = types.get(f"{path}.{key}", ValueType.UNSPECIFIED)
                getattr(message, field.name)[key].CopyFrom(to_value(item, kind))
        elif target is None:
            plain = isinstance(value, bool | int) and not isinstance(getattr(message, field.name), str)
            setattr(message, field.name, value if plain else text_of(value))
        elif target.full_name == "istio.policy.v1beta1.Value":
            getattr(message, field.name).CopyFrom(to_value(value, types.get(path, ValueType.UNSPECIFIED)))
        elif isinstance(value, datetime) and value != NO_TIME:
            getattr(message, field.name).value.FromDatetime(value)
        elif isinstance(value, IPv4Address | IPv6Address) and value != NO_ADDRESS:
            getattr(message, field.name).value = value.packed


def _read(value: Any) -> Value:
    if isinstance(value, values.IPAddress):
        address = ipaddress.ip_address(value.value)
        return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
    return dict(value) if isinstance(value, Mapping) else str(value)
