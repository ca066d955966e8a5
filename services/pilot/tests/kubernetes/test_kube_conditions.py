"""What stands in a resource's status."""

from __future__ import annotations

from typing import Any

import pytest

from mizzen.api.parse import parse_object
from mizzen.api.problem import Problem
from mizzen.api.resource import Resource, ResourceKey
from mizzen.kubernetes.reflector import Revision
from mizzen.pilot.ingest.kubernetes.conditions import MAX_MESSAGE, statements

KEY = ResourceKey("VirtualService", "shop", "reviews")


def used(generation: int, uid: str = "u") -> dict[ResourceKey, Resource]:
    item = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "reviews", "namespace": "shop", "generation": generation, "uid": uid},
        "spec": {"hosts": ["reviews"], "http": [{"route": [{"destination": {"host": "reviews"}}]}]},
    }
    (resource,) = parse_object(item).resources
    return {KEY: resource}


def problem(severity: Any, message: str = "is wrong") -> Problem:
    return Problem(None, "VirtualService shop/reviews", "spec.http", message, severity)


@pytest.mark.parametrize(
    ("problems", "in_use", "validated", "reconciled"),
    [
        ([], used(2), (True, "noErrorsFound", "No errors found"), (True, "ready")),
        ([], used(1), (True, "noErrorsFound", "No errors found"), (False, "stillPropagating")),
        (
            [problem("warning")],
            used(2),
            (True, "noErrorsFound", "warning: spec.http: is wrong"),
            (True, "ready"),
        ),
        (
            [problem("error"), problem("error")],
            used(1),
            (False, "errorsFound", "error: spec.http: is wrong"),
            (False, "stillPropagating"),
        ),
        ([problem("error")], {}, (False, "errorsFound", "error: spec.http: is wrong"), (False, "notInUse")),
        ([], used(2, "older"), (True, "noErrorsFound", "No errors found"), (False, "notInUse")),
        (
            [Problem(None, "VirtualService shop/other", "", "is not ours")],
            used(2),
            (True, "noErrorsFound", "No errors found"),
            (True, "ready"),
        ),
    ],
)
def test_conditions(problems: Any, in_use: Any, validated: Any, reconciled: Any) -> None:
    first, second = statements({KEY: Revision("u", 2)}, problems, in_use)[KEY].conditions
    assert (first.type, first.status, first.reason, first.message) == ("PassedValidation", *validated)
    assert (second.type, second.status, second.reason) == ("Reconciled", *reconciled)


def test_messages_are_bounded() -> None:
    many = [problem("error", f"{number}") for number in range(1000)]
    written = statements({KEY: Revision("u", 2)}, many, {})[KEY].status({}, "monday")
    assert len(written["conditions"][0]["message"]) == MAX_MESSAGE


def test_the_time_is_that_of_the_last_transition() -> None:
    good = statements({KEY: Revision("u", 2)}, [], used(2))[KEY]
    bad = statements({KEY: Revision("u", 3)}, [problem("error")], used(2))[KEY]
    first = good.status({"addresses": []}, "monday")
    assert first["observedGeneration"] == 2
    assert [item["lastTransitionTime"] for item in first["conditions"]] == ["monday", "monday"]
    assert good.status(first, "tuesday") == first
    second = bad.status(first, "tuesday")
    assert [(item["status"], item["lastTransitionTime"]) for item in second["conditions"]] == [("False", "tuesday")] * 2
    again = statements({KEY: Revision("u", 3)}, [problem("error", "otherwise")], used(2))[KEY]
    assert [item["lastTransitionTime"] for item in again.status(second, "friday")["conditions"]] == ["tuesday"] * 2
