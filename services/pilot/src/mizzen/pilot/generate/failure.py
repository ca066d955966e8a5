"""What to say, and to answer, where something of the mesh cannot be generated."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from envoy.config.route.v3 import route_components_pb2

from mizzen.pilot.generate.match import everything

UNAVAILABLE = 503


def describe(error: Exception, *origins: str) -> str:
    """One line for people: which resources of the user are involved, what went wrong, and where in our code."""
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    involved = ", ".join(filter(None, origins))
    return f"{involved}: {reason}{place}" if involved else f"{reason}{place}"


def origin_text(origin: tuple[str, str, str]) -> str:
    """`VirtualService default/reviews` of (kind, namespace, name)."""
    kind, namespace, name = origin
    return f"{kind} {namespace}/{name}"


def routes_or_refusal(make: Callable[[], list[Any]], origin: str, failures: list[str]) -> list[Any]:
    """The routes of one virtual host; where they cannot be made, one that answers 503 and names the `origin`."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - it is told in `failures`, and the other hosts do not suffer
        failures.append(describe(error, origin))
    refuse = route_components_pb2.Route(name="not-generated", match=everything())
    refuse.direct_response.status = UNAVAILABLE
    refuse.direct_response.body.inline_string = f"Pilot cannot make routes of {origin}; see its /debug/syncz\n"
    return [refuse]
