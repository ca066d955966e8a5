"""Listener to ListenerPlan."""

from __future__ import annotations

import socket
import sys
from typing import Any, Literal

from mizzen.proxy.engine.plan import ChoicePlan, ListenerPlan
from mizzen.proxy.snapshot.accesslogs import access_logs_of_refused
from mizzen.proxy.snapshot.chains import filter_chains
from mizzen.proxy.snapshot.endpoints import socket_address
from mizzen.proxy.snapshot.listener_filters import listener_filters
from mizzen.proxy.snapshot.result import Invalid, Notes, at
from mizzen.proxy.snapshot.values import wrapped

_DIRECTIONS: dict[int, Literal["inbound", "outbound", "unspecified"]] = {0: "unspecified", 1: "inbound", 2: "outbound"}
_DEFAULT_BUFFER = 1024 * 1024
_IP_TRANSPARENT, _IP_FREEBIND = 19, 15
"""Linux; the socket module does not name them. They hold for sockets of IPv6 as well."""
_PREBIND = 0

_LISTENER = (
    "name",
    "address",
    "additional_addresses",
    "bind_to_port",
    "use_original_dst",
    "transparent",
    "freebind",
    "socket_options",
    "filter_chains",
    "default_filter_chain",
    "listener_filters",
    "listener_filters_timeout",
    "continue_on_listener_filters_timeout",
    "traffic_direction",
    "per_connection_buffer_limit_bytes",
    "access_log",
    "metadata",
    # Of use to Envoy's own event loop and statistics only.
    "max_connections_to_accept_per_socket_event",
    "connection_balance_config",
    "stat_prefix",
)


def listener(message: Any, notes: Notes) -> ListenerPlan:
    """Compile; raises Invalid."""
    notes.check(message, _LISTENER)
    address, port = _address(message.address, "address", notes)
    bound = wrapped(message, "bind_to_port", True)
    filters = listener_filters(message, notes)
    handler = filter_chains(message, notes, sees_tls=filters.sniff is not None and bool(filters.sniff.tls))
    return ListenerPlan(
        name=message.name,
        address=address,
        port=port,
        direction=_DIRECTIONS[message.traffic_direction],
        handler=handler,
        buffer_limit=wrapped(message, "per_connection_buffer_limit_bytes", _DEFAULT_BUFFER),
        more_addresses=_more_addresses(message, notes),
        bound=bound,
        hands_off=wrapped(message, "use_original_dst", False),
        restores=filters.restores,
        transparent=wrapped(message, "transparent", False),
        sniff=filters.sniff if isinstance(handler, ChoicePlan) else None,  # else nothing depends on it
        socket_options=_socket_options(message) if bound else (),
        access_logs=access_logs_of_refused(message.access_log, notes),
    )


def _address(message: Any, field: str, notes: Notes) -> tuple[str, int]:
    with at(field):
        found = socket_address(message)
    if message.socket_address.ipv4_compat:
        notes.add(f"{message.socket_address.DESCRIPTOR.full_name}.ipv4_compat")
    return found


def _more_addresses(message: Any, notes: Notes) -> tuple[tuple[str, int], ...]:
    found = []
    for index, item in enumerate(message.additional_addresses):
        notes.check(item, ("address",))
        found.append(_address(item.address, f"additional_addresses[{index}].address", notes))
    return tuple(found)


def _socket_options(message: Any) -> tuple[tuple[int, int, bytes], ...]:
    options = []
    if wrapped(message, "transparent", False):
        options.append((socket.IPPROTO_IP, _IP_TRANSPARENT, _number(1)))
    if wrapped(message, "freebind", False):
        options.append((socket.IPPROTO_IP, _IP_FREEBIND, _number(1)))
    for index, option in enumerate(message.socket_options):
        if option.state != _PREBIND:
            raise Invalid(f"socket_options[{index}].state", "only STATE_PREBIND is supported")
        given = option.WhichOneof("value") == "buf_value"
        options.append((option.level, option.name, option.buf_value if given else _number(option.int_value)))
    return tuple(options)


def _number(value: int) -> bytes:
    return value.to_bytes(4, sys.byteorder, signed=True)
