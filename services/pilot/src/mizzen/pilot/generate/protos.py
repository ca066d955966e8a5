"""Small helpers over Envoy's messages that every generator needs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from envoy.config.core.v3 import address_pb2, base_pb2, config_source_pb2, extension_pb2
from envoy.type.matcher.v3 import regex_pb2
from envoy.type.v3 import percent_pb2
from google.protobuf import any_pb2, duration_pb2, struct_pb2, wrappers_pb2

PROVENANCE = "istio"
"""The metadata namespace in which routes and clusters name the object they came from."""


def pack(message: Any) -> Any:
    """The message in an Any, with deterministic bytes."""
    packed = any_pb2.Any()
    packed.Pack(message, deterministic=True)
    return packed


def extension(name: str, config: Any) -> Any:
    """A TypedExtensionConfig."""
    return extension_pb2.TypedExtensionConfig(name=name, typed_config=pack(config))


def duration(value: float | timedelta) -> Any:
    """A Duration from seconds or a timedelta."""
    message = duration_pb2.Duration()
    message.FromTimedelta(value if isinstance(value, timedelta) else timedelta(seconds=value))
    return message


def uint32(value: int) -> Any:
    return wrappers_pb2.UInt32Value(value=value)


def boolean(value: bool) -> Any:
    return wrappers_pb2.BoolValue(value=value)


def struct(values: Mapping[str, Any]) -> Any:
    """A Struct from plain values."""
    message = struct_pb2.Struct()
    message.update(values)
    return message


def metadata(values: Mapping[str, Any], namespace: str = PROVENANCE) -> Any:
    """Metadata with one namespace."""
    return base_pb2.Metadata(filter_metadata={namespace: struct(values)})


def provenance(kind: str, namespace: str, name: str) -> dict[str, str]:
    """Istio's pointer to the object a route or cluster came from; `kind` like VirtualService."""
    dashed = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in kind).lstrip("-")
    return {"config": f"/apis/networking.istio.io/v1/namespaces/{namespace}/{dashed}/{name}"}


def address(host: str, port: int) -> Any:
    """A socket address, or a pipe when `host` is the path of a Unix socket."""
    if host.startswith(("/", "unix://", "@")):
        return address_pb2.Address(pipe=address_pb2.Pipe(path=host.removeprefix("unix://")))
    return address_pb2.Address(socket_address=address_pb2.SocketAddress(address=host, port_value=port))


def cidr(text: str) -> Any:
    """A CidrRange of `10.0.0.0/8` or of a single address."""
    prefix, _, length = text.partition("/")
    bits = int(length) if length else (128 if ":" in prefix else 32)
    return address_pb2.CidrRange(address_prefix=prefix, prefix_len=uint32(bits))


def regex(pattern: str) -> Any:
    """An RE2 matcher of the whole text."""
    return regex_pb2.RegexMatcher(regex=pattern)


def ads() -> Any:
    """The config source "this stream", waited for without limit."""
    return config_source_pb2.ConfigSource(
        ads=config_source_pb2.AggregatedConfigSource(),
        initial_fetch_timeout=duration(0),
        resource_api_version=config_source_pb2.ApiVersion.V3,
    )


def percent(value: float) -> Any:
    """A percentage in millionths, so that 0.001 % keeps its meaning."""
    return percent_pb2.FractionalPercent(
        numerator=round(value * 10_000), denominator=percent_pb2.FractionalPercent.DenominatorType.MILLION
    )
