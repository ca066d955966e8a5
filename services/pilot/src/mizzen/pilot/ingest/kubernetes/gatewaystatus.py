"""The status of the Gateway API's objects, merged into what others say there. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mizzen.api.gatewayapi import GROUP
from mizzen.api.gatewayapi.gateway import Gateway, GatewayClass
from mizzen.api.gatewayapi.grpcroute import GRPCRoute
from mizzen.api.gatewayapi.httproute import HTTPRoute
from mizzen.api.gatewayapi.reference import ParentReference
from mizzen.api.problem import Problem
from mizzen.api.resource import Resource, ResourceKey, kind_key
from mizzen.kubernetes.reflector import Revision
from mizzen.pilot.base.condition import Condition
from mizzen.pilot.base.gatewaystate import CONTROLLER, ListenerState, ParentState, State
from mizzen.pilot.ingest.kubernetes.conditions import transitions

ROUTES = frozenset({"HTTPRoute", "GRPCRoute"})
Item = dict[str, Any]
Items = list[Item]


@dataclass(frozen=True, slots=True)
class GatewayStatement:
    """What there is to say of an object: what came of the generation that is in use, and of the one that came last."""

    kind: str
    uid: str
    generation: int
    """The one in use, which `state` is about."""
    state: State
    fault: Condition | None = None
    """Why the last one is not in use, in place of the condition of that type."""
    last: int = 0
    """Which one that is."""
    is_shared: ClassVar[bool] = True

    def status(self, before: Mapping[str, Any], now: str) -> Item:
        """The parts of the status to write over those of `before`. What others wrote there stays, in its place."""
        if self.kind in ROUTES:
            return {"parents": self._parents(_items(before.get("parents")), now)}
        found: Item = {"conditions": self._conditions(self.state.conditions, before, now)}
        if self.kind == "GatewayClass":
            return found
        addresses = [{"type": address.type, "value": address.value} for address in self.state.addresses]
        known = {item.get("name"): item for item in _items(before.get("listeners"))}
        listeners = [self._listener(each, known.get(each.name, {}), now) for each in self.state.listeners]
        return found | {"addresses": addresses, "listeners": listeners}

    def _listener(self, listener: ListenerState, before: Mapping[str, Any], now: str) -> Item:
        return {
            "name": listener.name,
            "attachedRoutes": listener.attached,
            "supportedKinds": [{"group": GROUP, "kind": kind} for kind in listener.kinds],
            "conditions": self._conditions(listener.conditions, before, now),
        }

    def _parents(self, before: Items, now: str) -> Items:
        known = {_reference(item): item for item in before if item.get("controllerName") == CONTROLLER}
        stated: dict[tuple[Any, ...], Item] = {}
        for parent in self.state.parents:
            written = _written(parent.parent)
            reference = _reference({"parentRef": written})
            conditions = self._conditions(parent.conditions, known.get(reference, {}), now)
            stated[reference] = {"parentRef": written, "controllerName": CONTROLLER, "conditions": conditions}
        entries = []
        for item in before:
            if item.get("controllerName") != CONTROLLER:
                entries.append(item)
            elif (mine := stated.pop(_reference(item), None)) is not None:
                entries.append(mine)
        return [*entries, *stated.values()]

    def _conditions(self, conditions: Iterable[Condition], before: Mapping[str, Any], now: str) -> Items:
        fault = self.fault
        meant = [fault if fault is not None and fault.type == each.type else each for each in conditions]
        old = _items(before.get("conditions"))
        stated = {item["type"]: item for item in transitions(meant, old, now)}
        for item in stated.values():
            is_last = fault is not None and fault.type == item["type"]
            item["observedGeneration"] = self.last if is_last else self.generation
        return [*(stated.pop(item.get("type"), item) for item in old), *stated.values()]


def gateway_statements(
    revisions: Mapping[ResourceKey, Revision],
    problems: Iterable[Problem],
    used: Mapping[ResourceKey, Resource],
    refused: Mapping[ResourceKey, Resource],
    states: Mapping[ResourceKey, State],
    classes: Collection[str],
) -> dict[ResourceKey, GatewayStatement]:
    """Of each object that is ours to speak of: classes and Gateways with a state, and all routes.

    A route of which nothing is to be said any more loses what was said. Of an object of which no version is in use,
    what can be told of the `refused` one says whether it would be ours, by its class or its parents.
    """
    errors: dict[str, list[str]] = {}
    for problem in problems:
        if problem.severity == "error":
            errors.setdefault(problem.resource, []).append(f"{problem.path}: {problem.message}")
    found = {}
    for key, revision in revisions.items():
        resource, state, generation = used.get(key), states.get(key), revision.generation
        fault = _fault(key, errors.get(str(key), ()))
        if resource is not None and resource.metadata.uid == revision.uid:
            generation = resource.metadata.generation or 0
            state = state or (State() if key.kind in ROUTES else None)
        elif fault is not None and key in refused:
            state = _refused(refused[key], fault, states, classes)
        else:
            continue
        if state is not None:
            newer = fault if generation != revision.generation else None
            found[key] = GatewayStatement(key.kind, revision.uid, generation, state, newer, revision.generation)
    return found


def _fault(key: ResourceKey, errors: Iterable[str]) -> Condition | None:
    """With the specification's reason for an object that is wrong in itself."""
    message = "; ".join(dict.fromkeys(errors))
    if not message:
        return None
    reason = "InvalidParameters" if key.kind == "GatewayClass" else "Invalid"
    return Condition("Accepted", False, "UnsupportedValue" if key.kind in ROUTES else reason, message)


def _refused(
    resource: Resource, fault: Condition, states: Mapping[ResourceKey, State], classes: Collection[str]
) -> State | None:
    """What came of an object that is wrong; None where it is not ours."""
    spec = resource.spec
    if isinstance(spec, GatewayClass):
        return State((fault,)) if spec.controller_name == CONTROLLER else None
    if isinstance(spec, Gateway):
        is_ours = spec.gateway_class_name in classes
        return State((fault, Condition("Programmed", False, "Invalid"))) if is_ours else None
    if not isinstance(spec, HTTPRoute | GRPCRoute):
        return None
    parents = (parent for parent in spec.parent_refs if _is_ours(parent, resource.metadata.namespace, states))
    return State(parents=tuple(ParentState(parent, (fault,)) for parent in parents))


def _is_ours(parent: ParentReference, namespace: str, states: Mapping[ResourceKey, State]) -> bool:
    key = ResourceKey(kind_key("Gateway", GROUP), parent.namespace or namespace, parent.name)
    return parent.is_service or (parent.is_gateway and key in states)


def _items(given: Any) -> Items:
    return [item for item in given or () if isinstance(item, dict)]


def _written(parent: ParentReference) -> Item:
    """As it stands in the route's spec."""
    found: Item = {"group": parent.group, "kind": parent.kind, "name": parent.name}
    if parent.namespace is not None:
        found["namespace"] = parent.namespace
    if parent.section_name:
        found["sectionName"] = parent.section_name
    if parent.port is not None:
        found["port"] = parent.port
    return found


def _reference(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """What identifies an entry of one controller: its parent."""
    parent = entry.get("parentRef") or {}
    default = {"group": GROUP, "kind": "Gateway"}
    return tuple(parent.get(name, default.get(name)) for name in _PARENT)


_PARENT = ("group", "kind", "namespace", "name", "sectionName", "port")
