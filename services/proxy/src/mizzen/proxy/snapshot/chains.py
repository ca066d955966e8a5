"""The filter chains of a Listener: one that takes everything, or a choice."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any, Literal

from mizzen.proxy.engine.chains import ChainTable
from mizzen.proxy.engine.plan import ChainMatch, ChainPlan, ChoicePlan, HttpPlan, RefusePlan, TcpPlan
from mizzen.proxy.engine.tls_plan import ServerTlsPlan
from mizzen.proxy.snapshot.handlers import handler
from mizzen.proxy.snapshot.result import Invalid, Notes, at
from mizzen.proxy.snapshot.tls import server_tls
from mizzen.proxy.snapshot.values import wrapped

_INBOUND = 1
_SOURCE_TYPES: dict[int, Literal["any", "local", "external"]] = {0: "any", 1: "local", 2: "external"}
_TRANSPORTS = ("", "raw_buffer", "tls")
_MATCH = (
    "destination_port",
    "prefix_ranges",
    "server_names",
    "transport_protocol",
    "application_protocols",
    "direct_source_prefix_ranges",
    "source_type",
    "source_prefix_ranges",
    "source_ports",
)
_CHAIN = (
    "name",
    "filter_chain_match",
    "filters",
    "transport_socket",
    "transport_socket_connect_timeout",  # for TLS handshakes
    "metadata",
)


def filter_chains(message: Any, notes: Notes, *, sees_tls: bool) -> HttpPlan | TcpPlan | ChoicePlan:
    """Compile; raises Invalid.

    `sees_tls`: the listener tells TLS from plaintext; else everything counts as plaintext.
    """
    inbound = message.traffic_direction == _INBOUND
    chains = []
    for index, chain in enumerate(message.filter_chains):
        with at(f"filter_chains[{index}]"):
            plain, tls = _handler(chain, notes, inbound=inbound)
            chains.append(ChainPlan(chain.name, _match(chain, notes), plain, tls))
    default = default_tls = None
    if message.HasField("default_filter_chain"):
        with at("default_filter_chain"):
            if message.default_filter_chain.HasField("filter_chain_match"):
                raise Invalid("filter_chain_match", "the default takes what no other chain matches; leave this out")
            default, default_tls = _handler(message.default_filter_chain, notes, inbound=inbound)
    if not chains and default is None:
        raise Invalid("filter_chains", "is empty")
    takes_all = (ChainMatch(),) if sees_tls else (ChainMatch(), ChainMatch(transport="raw_buffer"))
    only = default if not chains else chains[0].handler if len(chains) == 1 and chains[0].match in takes_all else None
    handlers = [*(chain.handler for chain in chains), *([default] if default is not None else [])]
    refused = [each.reason for each in handlers if isinstance(each, RefusePlan)]
    if len(refused) == len(handlers):
        raise Invalid("filter_chains", f"no chain can be served: {refused[0]}")
    ends_tls = default_tls is not None or any(chain.tls is not None for chain in chains)
    if only is not None and not isinstance(only, RefusePlan) and not ends_tls:
        return only
    try:
        ChainTable((chain.match, chain.name) for chain in chains)
    except ValueError as error:
        raise Invalid("filter_chains", str(error)) from None
    return ChoicePlan(tuple(chains), default, default_tls)


def _handler(
    chain: Any, notes: Notes, *, inbound: bool
) -> tuple[HttpPlan | TcpPlan | RefusePlan, ServerTlsPlan | None]:
    """A chain whose TLS cannot be had is kept, so that no other one takes its connections."""
    notes.check(chain, _CHAIN)
    try:
        tls = server_tls(chain, notes)
    except Invalid as error:
        notes.add(f"{chain.DESCRIPTOR.full_name}.transport_socket")
        return RefusePlan(f"{error.path}: {error.reason}"), None
    return handler(chain, notes, inbound=inbound), tls


def _match(chain: Any, notes: Notes) -> ChainMatch:
    match = chain.filter_chain_match
    notes.check(match, _MATCH)
    with at("filter_chain_match"):
        if match.transport_protocol not in _TRANSPORTS:
            raise Invalid("transport_protocol", f"must be raw_buffer or tls, not {match.transport_protocol!r}")
        return ChainMatch(
            port=wrapped(match, "destination_port", 0),
            destinations=_ranges(match, "prefix_ranges"),
            server_names=_server_names(match),
            transport=match.transport_protocol,
            protocols=tuple(match.application_protocols),
            direct_sources=_ranges(match, "direct_source_prefix_ranges"),
            source_type=_SOURCE_TYPES[match.source_type],
            sources=_ranges(match, "source_prefix_ranges"),
            source_ports=tuple(match.source_ports),
        )


def _ranges(match: Any, field: str) -> tuple[str, ...]:
    found = []
    for index, item in enumerate(getattr(match, field)):
        try:
            found.append(str(ip_network(f"{item.address_prefix}/{wrapped(item, 'prefix_len', 0)}", strict=False)))
        except ValueError as error:
            raise Invalid(f"{field}[{index}]", str(error)) from None
    return tuple(found)


def _server_names(match: Any) -> tuple[str, ...]:
    for index, name in enumerate(match.server_names):
        if "*" in name.removeprefix("*."):
            raise Invalid(f"server_names[{index}]", f"{name!r} may have a wildcard only as its first label")
    return tuple(name.lower() for name in match.server_names)
