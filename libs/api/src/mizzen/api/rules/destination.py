"""Rules of destinations and their weights, shared by all kinds of routes."""

from collections.abc import Iterator, Sequence

from mizzen.api import syntax
from mizzen.api.problem import Path
from mizzen.api.rules import Finding, error
from mizzen.api.virtualservice import Destination, HTTPRouteDestination, RouteDestination


def check_destination(destination: Destination, at: Path) -> Iterator[Finding]:
    """A destination is a real host; a subset is one DNS label."""
    if destination.host == "*":
        yield error((*at, "host"), "'*' is not a destination: name a host")
    if destination.subset and not syntax.is_label_word(destination.subset):
        yield error((*at, "subset"), f"{destination.subset!r} is not a subset's name: letters, digits and inner dashes")


def check_weights(route: Sequence[HTTPRouteDestination | RouteDestination], at: Path) -> Iterator[Finding]:
    """Destinations exist; several of them each have a weight, and not all weights are 0."""
    if not route:
        yield error(at, "needs at least one destination")
    for index, item in enumerate(route):
        yield from check_destination(item.destination, (*at, index, "destination"))
        if item.weight is None and len(route) > 1:
            yield error(
                (*at, index, "weight"), f"is required: this route has {len(route)} destinations, each needs a weight"
            )
    if len(route) > 1 and all(item.weight == 0 for item in route):
        yield error(at, "all weights are 0, so no destination would get traffic")
