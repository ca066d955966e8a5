"""Listener filters: what is found out about a connection before its filter chain is chosen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from mizzen.proxy.engine.plan import PortRanges, SniffPlan
from mizzen.proxy.snapshot.result import Invalid, Notes, at
from mizzen.proxy.snapshot.values import seconds, type_name

_FILTERS = "envoy.extensions.filters.listener"
ORIGINAL_DST: Final = f"{_FILTERS}.original_dst.v3.OriginalDst"
ORIGINAL_SRC: Final = f"{_FILTERS}.original_src.v3.OriginalSrc"
TLS_INSPECTOR: Final = f"{_FILTERS}.tls_inspector.v3.TlsInspector"
HTTP_INSPECTOR: Final = f"{_FILTERS}.http_inspector.v3.HttpInspector"
_DEFAULT_TIMEOUT = 15.0
ALL_PORTS: Final = ((0, 65536),)


@dataclass(frozen=True, slots=True)
class ListenerFilters:
    """Those of one listener."""

    restores: bool
    """Asks for the original destination."""
    sniff: SniffPlan | None


def listener_filters(message: Any, notes: Notes) -> ListenerFilters:
    """Compile; raises Invalid for a filter that is not known, for it might refuse connections."""
    ports: dict[str, PortRanges] = {}
    for index, item in enumerate(message.listener_filters):
        kind = type_name(item.typed_config)
        with at(f"listener_filters[{index}]"):
            if kind == ORIGINAL_SRC:
                notes.add(kind)  # the application sees this proxy's address in place of the client's
            elif kind not in (ORIGINAL_DST, TLS_INSPECTOR, HTTP_INSPECTOR):
                raise Invalid("", f"{kind or item.name} is not supported")
            with at("filter_disabled"):
                ports[kind] = (
                    _without(_disabled(item.filter_disabled)) if item.HasField("filter_disabled") else ALL_PORTS
                )
    tls, http = ports.get(TLS_INSPECTOR, ()), ports.get(HTTP_INSPECTOR, ())
    sniff = None
    if tls or http:
        timeout = seconds(message, "listener_filters_timeout", _DEFAULT_TIMEOUT)
        sniff = SniffPlan(tls, http, timeout, message.continue_on_listener_filters_timeout)
    return ListenerFilters(restores=bool(ports.get(ORIGINAL_DST)), sniff=sniff)


def _disabled(predicate: Any) -> PortRanges:
    """The destination ports for which a predicate holds."""
    kind = predicate.WhichOneof("rule")
    if kind == "any_match":
        return ALL_PORTS if predicate.any_match else ()
    if kind == "destination_port_range":
        ports = predicate.destination_port_range
        return ((max(ports.start, 0), min(ports.end, 65536)),) if ports.start < ports.end else ()
    if kind == "not_match":
        with at("not_match"):
            return _without(_disabled(predicate.not_match))
    if kind in ("or_match", "and_match"):
        with at(f"{kind}.rules"):
            found = [_disabled(rule) for rule in getattr(predicate, kind).rules]
        if kind == "or_match":
            return _union(found)
        return _without(_union(_without(ports) for ports in found))
    raise Invalid("", "needs one of or_match, and_match, not_match, any_match, destination_port_range")


def _union(several: Iterable[PortRanges]) -> PortRanges:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ports for found in several for ports in found):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _without(ports: PortRanges) -> PortRanges:
    """All other ports."""
    edges = [0, *(edge for pair in ports for edge in pair), 65536]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return tuple((start, end) for start, end in pairs if start < end)
