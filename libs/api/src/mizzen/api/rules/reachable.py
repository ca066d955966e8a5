"""Routes and matches that can never be reached, because an earlier one takes everything they would."""

from collections.abc import Iterator, Mapping
from typing import Any

from mizzen.api.rules import Finding, warning
from mizzen.api.types import Model
from mizzen.api.virtualservice import VirtualService

Conditions = Mapping[str, Any]
"""The fields of a match that restrict it, by attribute name."""

_NAMES = {"name", "stat_prefix"}
"""Fields of a match that are not conditions."""


def check_reachable(spec: VirtualService) -> Iterator[Finding]:
    """Warn of what stands behind a route that takes every request, and of matches that an earlier match covers."""
    for group in ("http", "tls", "tcp"):
        yield from _check_group(group, getattr(spec, group))


def _check_group(group: str, routes: tuple[Any, ...]) -> Iterator[Finding]:
    earlier: list[tuple[str, Conditions]] = []
    for index, route in enumerate(routes):
        if not route.match:
            yield from _check_covered((group, index), {}, earlier)
            earlier.append((f"{group}[{index}]", {}))
        for number, match in enumerate(route.match):
            conditions = _conditions(match)
            yield from _check_covered((group, index, "match", number), conditions, earlier)
            earlier.append((f"{group}[{index}].match[{number}]", conditions))


def _check_covered(
    at: tuple[str | int, ...], later: Conditions, earlier: list[tuple[str, Conditions]]
) -> Iterator[Finding]:
    for place, conditions in earlier:
        if _covers(conditions, later):
            yield warning(at, f"is never reached: {place} before it takes the same requests")
            return


def _conditions(match: Model) -> Conditions:
    return match.model_dump(exclude=_NAMES, exclude_defaults=True)


def _covers(earlier: Conditions, later: Conditions) -> bool:
    """Whether every condition of `earlier` follows from those of `later`. False when in doubt."""
    return all(
        later.get(name) == value
        or (isinstance(value, Mapping) and isinstance(later.get(name), Mapping) and _follows(name, value, later))
        for name, value in earlier.items()
    )


def _follows(name: str, value: Conditions, later: Conditions) -> bool:
    """Whether a condition made of several (`uri`, or a map of headers) follows from the later match."""
    other: Mapping[str, Any] = later[name]
    if name == "uri":
        prefix = value.get("prefix")
        path = other.get("prefix", other.get("exact"))
        return prefix is not None and path is not None and path.startswith(prefix)
    if name in ("scheme", "method", "authority"):
        return False
    return all(other.get(key) == item for key, item in value.items())
