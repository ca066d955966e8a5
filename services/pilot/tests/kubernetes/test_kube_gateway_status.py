"""What stands in the status of the Gateway API's objects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mizzen.api.gatewayapi.httproute import HTTPRoute
from mizzen.api.gatewayapi.reference import ParentReference
from mizzen.api.parse import parse_object
from mizzen.api.problem import Problem
from mizzen.api.resource import Resource, ResourceKey
from mizzen.kubernetes.reflector import Revision
from mizzen.pilot.base.condition import Condition
from mizzen.pilot.base.gatewaystate import ACCEPTED, CONTROLLER, PROGRAMMED, Address, ListenerState, ParentState, State
from mizzen.pilot.ingest.kubernetes.gatewaystatus import GatewayStatement, gateway_statements
from mizzen.pilot.ingest.kubernetes.status import differs

GROUP = "gateway.networking.k8s.io"
GATEWAY = ResourceKey(f"Gateway.{GROUP}", "shop", "edge")
ROUTE = ResourceKey("HTTPRoute", "shop", "web")
BROKEN = Condition("ResolvedRefs", False, "BackendNotFound", "gone")


def resource(key: ResourceKey, generation: int, uid: str = "u") -> Resource:
    kind = key.kind.partition(".")[0]
    listener = {"name": "http", "port": 80, "protocol": "HTTP"}
    spec: dict[str, Any] = {"gatewayClassName": "mizzen", "listeners": [listener]} if kind == "Gateway" else {}
    metadata = {"name": key.name, "namespace": key.namespace, "generation": generation, "uid": uid}
    item = {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata, "spec": spec}
    (found,) = parse_object(item).resources
    return found


def route(*parents: ParentState, generation: int = 3) -> GatewayStatement:
    return GatewayStatement("HTTPRoute", "u", generation, State(parents=parents))


def at(name: str, *conditions: Condition, **more: Any) -> ParentState:
    return ParentState(ParentReference(name=name, **more), conditions or (ACCEPTED,))


def condition(kind: str, status: str, reason: str, generation: int, time: str, message: str = "") -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": time,
        "observedGeneration": generation,
    }


def test_a_gateway() -> None:
    listener = ListenerState("http", ("HTTPRoute",), 2, (ACCEPTED, Condition("Conflicted", False, "NoConflicts")))
    state = State((ACCEPTED, PROGRAMMED), (Address("IPAddress", "192.0.2.1"),), (listener,))
    said = GatewayStatement(GATEWAY.kind, "u", 3, state)
    waiting = {
        "type": "Accepted",
        "status": "Unknown",
        "reason": "Pending",
        "lastTransitionTime": "1970",
        "message": "x",
    }
    found = said.status({"conditions": [waiting]}, "monday")
    assert found == {
        "conditions": [
            condition("Accepted", "True", "Accepted", 3, "monday"),
            condition("Programmed", "True", "Programmed", 3, "monday"),
        ],
        "addresses": [{"type": "IPAddress", "value": "192.0.2.1"}],
        "listeners": [
            {
                "name": "http",
                "attachedRoutes": 2,
                "supportedKinds": [{"group": GROUP, "kind": "HTTPRoute"}],
                "conditions": [
                    condition("Accepted", "True", "Accepted", 3, "monday"),
                    condition("Conflicted", "False", "NoConflicts", 3, "monday"),
                ],
            }
        ],
    }
    assert said.status(found, "tuesday") == found, "times are those of transitions"
    newer = GatewayStatement(GATEWAY.kind, "u", 4, state).status(found, "tuesday")
    assert newer["conditions"][0] == condition("Accepted", "True", "Accepted", 4, "monday")


def test_conditions_of_others_stay_where_they_are() -> None:
    other = condition("example.com/Audited", "True", "Fine", 1, "sunday")
    said = GatewayStatement("GatewayClass", "u", 1, State((ACCEPTED,)))
    found = said.status({"conditions": [other]}, "monday")
    assert found == {"conditions": [other, condition("Accepted", "True", "Accepted", 1, "monday")]}
    assert said.status(found, "tuesday") == found


def entry(controller: str, name: str, *conditions: dict[str, Any]) -> dict[str, Any]:
    parent = {"group": GROUP, "kind": "Gateway", "name": name}
    return {"parentRef": parent, "controllerName": controller, "conditions": list(conditions)}


def test_a_route_at_parents_of_several_controllers() -> None:
    foreign = entry("example.com/other", "edge", condition("Accepted", "True", "Accepted", 1, "sunday"))
    first = route(at("edge")).status({"parents": [foreign]}, "monday")
    good = entry(CONTROLLER, "edge", condition("Accepted", "True", "Accepted", 3, "monday"))
    assert first == {"parents": [foreign, good]}
    swapped = {"parents": [good, foreign]}
    assert route(at("edge")).status(swapped, "tuesday") == swapped, "nobody is moved"
    both = route(at("inner"), at("edge", ACCEPTED, BROKEN)).status(swapped, "tuesday")
    assert [(each["controllerName"], each["parentRef"]["name"]) for each in both["parents"]] == [
        (CONTROLLER, "edge"),
        ("example.com/other", "edge"),
        (CONTROLLER, "inner"),
    ]
    assert both["parents"][0]["conditions"] == [
        condition("Accepted", "True", "Accepted", 3, "monday"),
        condition("ResolvedRefs", "False", "BackendNotFound", 3, "tuesday", "gone"),
    ]
    assert route().status(both, "friday") == {"parents": [foreign]}, "what is not so any more is taken back"


def test_parents_are_told_apart_by_all_that_names_them() -> None:
    several = (at("edge"), at("edge", section_name="http"), at("edge", port=80), at("edge", namespace="shop"))
    found = route(*several).status({}, "monday")["parents"]
    assert [each["parentRef"] for each in found] == [
        {"group": GROUP, "kind": "Gateway", "name": "edge"},
        {"group": GROUP, "kind": "Gateway", "name": "edge", "sectionName": "http"},
        {"group": GROUP, "kind": "Gateway", "name": "edge", "port": 80},
        {"group": GROUP, "kind": "Gateway", "name": "edge", "namespace": "shop"},
    ]
    mesh = route(at("ratings", kind="Service", group="")).status({}, "monday")["parents"]
    assert mesh[0]["parentRef"] == {"group": "", "kind": "Service", "name": "ratings"}


STATES = {GATEWAY: State((ACCEPTED, PROGRAMMED)), ROUTE: State(parents=(at("edge"),))}


def stated(key: ResourceKey, seen: Revision, used: Resource | None, *problems: Problem, **states: Any) -> Any:
    known = states.get("states", STATES)
    refused = {key: states["refused"]} if "refused" in states else {}
    in_use = {} if used is None else {key: used}
    return gateway_statements({key: seen}, problems, in_use, refused, known, states.get("classes", ())).get(key)


@pytest.mark.parametrize(("key", "reason"), [(GATEWAY, "Invalid"), (ROUTE, "UnsupportedValue")], ids=str)
def test_a_version_that_is_wrong_is_refused_while_the_last_good_one_goes_on(key: ResourceKey, reason: str) -> None:
    wrong = Problem(None, str(key), "spec.x", "is wrong", "error")
    mild = Problem(None, str(key), "spec.y", "is strange", "warning")
    found = stated(key, Revision("u", 3), resource(key, 2), wrong, wrong, mild).status({}, "monday")
    conditions = found["conditions"] if key == GATEWAY else found["parents"][0]["conditions"]
    assert conditions[0] == condition("Accepted", "False", reason, 3, "monday", "spec.x: is wrong")
    assert [each["observedGeneration"] for each in conditions[1:]] == [2] * len(conditions[1:])
    behind = stated(key, Revision("u", 3), resource(key, 2), mild).status({}, "monday")
    conditions = behind["conditions"] if key == GATEWAY else behind["parents"][0]["conditions"]
    assert conditions[0] == condition("Accepted", "True", "Accepted", 2, "monday"), "it is only not looked at yet"


def test_nothing_is_said_of_what_is_not_ours_or_not_in_use() -> None:
    seen = Revision("u", 2)
    assert stated(GATEWAY, seen, resource(GATEWAY, 2), states={}) is None, "another class"
    assert stated(GATEWAY, seen, resource(GATEWAY, 2, "older")) is None
    assert stated(ROUTE, seen, None) is None
    unattached = stated(ROUTE, seen, resource(ROUTE, 2), states={}).status({}, "monday")
    assert not differs({}, unattached), "a route of others is not written"
    assert differs(
        {"parents": [entry(CONTROLLER, "edge")]},
        stated(ROUTE, seen, resource(ROUTE, 2), states={}).status({"parents": [entry(CONTROLLER, "edge")]}, "monday"),
    )


@pytest.mark.parametrize(
    ("key", "is_ours", "expected"),
    [
        (GATEWAY, True, ["Accepted False Invalid", "Programmed False Invalid"]),
        (GATEWAY, False, None),
        (ROUTE, True, ["Accepted False UnsupportedValue"]),
        (ROUTE, False, []),
    ],
)
def test_what_was_never_right_is_refused_where_it_would_be_ours(
    key: ResourceKey, is_ours: bool, expected: list[str] | None
) -> None:
    states = {GATEWAY: State((ACCEPTED,))} if is_ours else {}
    classes = {"mizzen"} if is_ours else set()
    wrong = Problem(None, str(key), "spec.x", "is wrong", "error")
    refused = resource(key, 4)
    if key == ROUTE:
        refused = replace(refused, spec=HTTPRoute(parent_refs=(ParentReference(name="edge"),)))
    said = stated(key, Revision("u", 4), None, wrong, states=states, refused=refused, classes=classes)
    if expected is None:
        assert said is None
        return
    found = said.status({}, "monday")
    conditions = found["conditions"] if key == GATEWAY else [c for each in found["parents"] for c in each["conditions"]]
    assert [f"{each['type']} {each['status']} {each['reason']}" for each in conditions] == expected
    assert {each["observedGeneration"] for each in conditions} <= {4}
    if conditions:
        assert conditions[0]["message"] == "spec.x: is wrong"
