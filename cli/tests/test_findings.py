"""What `mizzen apply` shows of Pilot's opinion."""

from __future__ import annotations

from typing import Any

import pytest

from mizzen.api.dump import to_dict
from mizzen.api.parse import parse
from mizzen.api.problem import Problem
from mizzen.cli import findings as findings_module
from mizzen.cli.errors import UserError
from mizzen.cli.findings import findings

RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, trafficPolicy: {loadBalancer: {simple: RANDOM}}}
"""
(RESOURCE,) = parse(RULE).resources
MINE = {"resource": RESOURCE.id, "path": "spec", "message": "no effect", "severity": "warning", "source": None}
OTHER = MINE | {"resource": "Gateway default/x"}


@pytest.fixture
def pilot(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Pilot's answers, the last of which it repeats."""
    answers: list[Any] = []
    monkeypatch.setattr(findings_module, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(findings_module, "ask_json", lambda *_: answers.pop(0) if len(answers) > 1 else answers[0])
    return answers


def state(*problems: Any, current: bool = True, has: bool = True) -> Any:
    return {"current": current, "resources": [to_dict(RESOURCE)] if has else [], "problems": list(problems)}


def test_they_are_those_of_the_mesh_that_has_the_resources(pilot: list[Any]) -> None:
    pilot += [state(OTHER, has=False), state(OTHER, current=False), state(MINE, OTHER)]
    assert findings([RESOURCE]) == ["warning: DestinationRule default/reviews: spec: no effect"]


def test_what_was_said_already_is_not_said_again(pilot: list[Any]) -> None:
    pilot.append(state(MINE, MINE | {"message": "another"}))
    said = [Problem(None, RESOURCE.id, "spec", "no effect", "warning")]
    assert findings([RESOURCE], said) == ["warning: DestinationRule default/reviews: spec: another"]


@pytest.mark.parametrize(
    ("named", "told"), [("DestinationRule default/reviews", True), ("Rule default/reviews-2", False)]
)
def test_what_is_wrong_elsewhere_for_them_is_told_too(pilot: list[Any], named: str, told: bool) -> None:
    pilot.append(state(OTHER | {"message": f"cannot be used: {named}: it has no key"}))
    assert bool(findings([RESOURCE])) == told


def test_a_pilot_that_does_not_use_them_is_told_of(pilot: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings_module, "WAIT_SECONDS", 0.01)
    pilot.append(state(has=False))
    with pytest.raises(UserError, match=r"Pilot does not use it after 0\.01 s"):
        findings([RESOURCE])
