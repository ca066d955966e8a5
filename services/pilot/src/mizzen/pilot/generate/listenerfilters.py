"""Listener filters: where captured connections were going, and what their first bytes say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.listener.http_inspector.v3 import http_inspector_pb2
from envoy.extensions.filters.listener.original_dst.v3 import original_dst_pb2
from envoy.extensions.filters.listener.original_src.v3 import original_src_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.type.v3 import range_pb2

from mizzen.pilot.generate.protos import pack, uint32
from mizzen.pilot.generate.tcp import ChainMatch

TPROXY_MARK = 1337
"""The mark by which the rules of traffic capture know connections that bear the client's address."""
_FIRST_BYTES = 512
"""What the TLS inspector reads at first; Envoy's default of 64 KiB is much memory for a connection."""


def original_dst() -> Any:
    """Restores the address a captured connection was made to."""
    return _filter("envoy.filters.listener.original_dst", original_dst_pb2.OriginalDst())


def original_src() -> Any:
    """Connects to the application from the client's address."""
    return _filter("envoy.filters.listener.original_src", original_src_pb2.OriginalSrc(mark=TPROXY_MARK))


def inspectors(matches: Iterable[ChainMatch]) -> list[Any]:
    """What filter chains with these matches need to be told apart, on the ports that need it and on no other.

    Waiting for bytes is not harmless: where the server speaks first, none come.
    """
    known = tuple(matches)
    ports = {match.port for match in known}
    found = []
    # TLS first: what it recognises, the other leaves alone.
    encrypted = {match.port for match in known if match.server_names or match.transport == "tls"}
    if encrypted:
        config: Any = tls_inspector_pb2.TlsInspector(initial_read_buffer_size=uint32(_FIRST_BYTES))
        found.append(_filter("envoy.filters.listener.tls_inspector", config, ports - encrypted))
    plain = {match.port for match in known if "http/1.1" in match.protocols}
    if plain:
        config = http_inspector_pb2.HttpInspector()
        found.append(_filter("envoy.filters.listener.http_inspector", config, ports - plain))
    return found


def _filter(name: str, config: Any, disabled: Iterable[int] = ()) -> Any:
    message = listener_components_pb2.ListenerFilter(name=name, typed_config=pack(config))
    predicates = [_port(number) for number in sorted(disabled)]
    if len(predicates) == 1:
        message.filter_disabled.CopyFrom(predicates[0])
    elif predicates:
        message.filter_disabled.or_match.rules.extend(predicates)
    return message


def _port(number: int) -> Any:
    only = range_pb2.Int32Range(start=number, end=number + 1)
    return listener_components_pb2.ListenerFilterChainMatchPredicate(destination_port_range=only)
