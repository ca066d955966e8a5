"""A Pod's status, from the states of its containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from support.kubelet.container import State, now, terminated
from support.kubelet.objects import Object, is_sidecar


@dataclass(frozen=True)
class Facts:
    """What a status is made of."""

    pod: Object
    host: str
    """The node's address."""
    address: str
    """The Pod's; empty while it has none."""
    began: str
    states: Mapping[str, State]
    """Of init containers and containers, by name."""
    complaint: str = ""
    """Why the Pod cannot run."""
    stopping: bool = False


def status(facts: Facts) -> Object:
    """All of it."""
    spec = facts.pod["spec"]
    init, main = (list(spec.get(kind, ())) for kind in ("initContainers", "containers"))
    phase = _phase(facts, init, main)
    found: Object = {
        "phase": phase,
        "hostIP": facts.host,
        "hostIPs": [{"ip": facts.host}],
        "startTime": facts.began,
        "conditions": _conditions(facts, init, main, phase),
        "initContainerStatuses": [_container(facts, each) for each in init],
        "containerStatuses": [_container(facts, each) for each in main],
    }
    if facts.complaint:
        found |= {"reason": "Unable", "message": facts.complaint}
    if facts.address:
        found |= {"podIP": facts.address, "podIPs": [{"ip": facts.address}]}
    return found


def initialised(containers: Sequence[Object], states: Mapping[str, State]) -> bool:
    """Whether what comes before the Pod's containers is over, and its sidecars have started."""
    return all(
        states[each["name"]].started if is_sidecar(each) else states[each["name"]].code == 0 for each in containers
    )


def _phase(facts: Facts, init: Sequence[Object], main: Sequence[Object]) -> str:
    states = [facts.states[each["name"]] for each in main if each["name"] in facts.states]
    failed_before = [
        each
        for each in init
        if not is_sidecar(each) and _ended_badly(facts.states.get(each["name"]), facts.pod["spec"]["restartPolicy"])
    ]
    if failed_before:
        return "Failed"
    ended = [state for state in states if state.waiting is None and state.code is not None]
    if states and len(ended) == len(main) and (facts.pod["spec"]["restartPolicy"] != "Always" or facts.stopping):
        return "Succeeded" if all(state.code == 0 for state in ended) else "Failed"
    return "Running" if any(state.began for state in states) else "Pending"


def _ended_badly(state: State | None, policy: str) -> bool:
    return policy == "Never" and state is not None and state.code not in (None, 0)


def _conditions(facts: Facts, init: Sequence[Object], main: Sequence[Object], phase: str) -> list[Object]:
    before = all(each["name"] in facts.states for each in init) and initialised(init, facts.states)
    watched = [*main, *(each for each in init if is_sidecar(each))]
    ready = before and all(facts.states.get(each["name"], State()).ready for each in watched)
    reason = {"reason": "PodCompleted"} if phase in ("Succeeded", "Failed") else {}
    return [
        {"type": name, "status": str(value), **({} if value else reason)}
        for name, value in (
            ("PodReadyToStartContainers", bool(facts.address)),
            ("Initialized", before),
            ("ContainersReady", ready),
            ("Ready", ready),
        )
    ]


def _container(facts: Facts, container: Object) -> Object:
    state = facts.states.get(container["name"], State())
    found: Object = {
        "name": container["name"],
        "image": container["image"],
        "imageID": container["image"],
        "restartCount": state.restarts,
        "ready": state.ready or (container in facts.pod["spec"].get("initContainers", ()) and state.code == 0),
        "started": state.started,
        "lastState": state.last,
    }
    if state.pid:
        found |= {"containerID": f"process://{state.pid}"}
    if state.waiting is not None:
        return found | {"state": {"waiting": {"reason": state.waiting}}}
    if state.code is not None:
        return found | {"state": terminated(state)}
    return found | {"state": {"running": {"startedAt": state.began or now()}}}
