"""Listeners of several Gateways that one proxy cannot serve beside each other: that of the oldest Gateway stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from mizzen.pilot.base.condition import Condition
from mizzen.pilot.snapshot.gatewayapi.listeners import NOT_PROGRAMMED, Place, Point

K = TypeVar("K")


def settle(found: Mapping[K, tuple[Place, ...]]) -> dict[K, tuple[Place, ...]]:
    """The same listeners, by Gateways from the oldest on; those that give way are not served."""
    holders: dict[int, Place] = {}
    named: dict[tuple[Point, str], Place] = {}
    return {key: tuple(_settled(place, holders, named) for place in listed) for key, listed in found.items()}


def _settled(place: Place, holders: dict[int, Place], named: dict[tuple[Point, str], Place]) -> Place:
    if not place.is_served:
        return place
    port, spoken = place.point
    holder = holders.setdefault(port, place)
    if holder.point != place.point:
        message = f"{holder.gateway.id} is older and has port {port} for {holder.point.protocol}"
        return _giving_way(place, "ProtocolConflict", message)
    owner = named.setdefault((place.point, place.hostname), place)
    if spoken == "HTTPS" and owner is not place:
        # Clients of one name cannot be shown two certificates; and routes of the one would be under that of the other.
        message = f"{owner.gateway.id} is older and shows its certificate for {place.hostname} on port {port}"
        return _giving_way(place, "HostnameConflict", message)
    return place


def _giving_way(place: Place, reason: str, message: str) -> Place:
    instead = {each.type: each for each in (Condition("Conflicted", True, reason, message), NOT_PROGRAMMED)}
    return replace(place, conditions=tuple(instead.get(each.type, each) for each in place.conditions))
