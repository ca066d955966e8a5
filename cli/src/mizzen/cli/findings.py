"""What Pilot says of resources that were just applied."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from typing import Any

from mizzen.api.dump import to_dict
from mizzen.api.problem import Problem
from mizzen.api.resource import Resource
from mizzen.cli.errors import UserError
from mizzen.cli.fetch import ask_json
from mizzen.cli.local.layout import MONITORING_PORT, PILOT

WAIT_SECONDS = 3.0
POLL_SECONDS = 0.05


def findings(
    resources: Iterable[Resource], said: Iterable[Problem] = (), host: str = PILOT, port: int = MONITORING_PORT
) -> list[str]:
    """What is wrong with these beside all others, or with others because of these, and what has no effect.

    What was `said` already is left out. Waits until Pilot uses them; raises UserError when it does not in time, or
    does not answer.
    """
    known = {(problem.resource, problem.path, problem.message) for problem in said}
    wanted = {resource.id: json.loads(json.dumps(to_dict(resource))) for resource in resources}
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        state = ask_json(host, port, "/debug/configz", "Pilot")
        if _uses(state, list(wanted.values())):
            return [
                _line(problem)
                for problem in state["problems"]
                if (problem["resource"] in wanted or _names(problem["message"], wanted))
                and (problem["resource"], problem["path"], problem["message"]) not in known
            ]
        if time.monotonic() > deadline:
            raise UserError(f"Pilot does not use it after {WAIT_SECONDS:g} s; see the log of pilot.")
        time.sleep(POLL_SECONDS)


def _uses(state: Any, wanted: list[Any]) -> bool:
    """Whether the problems are those of a mesh that has all of them."""
    return state["current"] and all(resource in state["resources"] for resource in wanted)


def _names(message: str, wanted: Iterable[str]) -> bool:
    """Whether one of these is to blame, as a Secret for the Gateway that it is not good for."""
    return any(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", message) for name in wanted)


def _line(problem: Any) -> str:
    parts = (problem[name] for name in ("severity", "resource", "path", "message"))
    return ": ".join(part for part in parts if part)
