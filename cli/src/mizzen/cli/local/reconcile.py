"""From what should run and what runs to what to do next; no processes, no clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from mizzen.cli.local.desired import PodTemplateSpec


class PodKey(NamedTuple):
    """One pod: the n-th (from 1) of its Deployment."""

    namespace: str
    deployment: str
    ordinal: int

    @property
    def name(self) -> str:
        return f"{self.deployment}-{self.ordinal}"

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Running:
    """A pod as it is."""

    key: PodKey
    revision: str
    ready: bool
    stopping: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """Make this pod from its Deployment's template."""

    key: PodKey


@dataclass(frozen=True, slots=True)
class Stop:
    """Take this pod out of service, then end it."""

    key: PodKey


Action: TypeAlias = Start | Stop


def reconcile(desired: Mapping[tuple[str, str], PodTemplateSpec], running: Iterable[Running]) -> list[Action]:
    """The actions that bring what runs nearer to what is desired; none when it is reached or pods must get ready first.

    A changed template is rolled out without a gap: new pods start beside the old ones, and an old one stops only
    when a new one is ready in its place. A pod that is stopping keeps its ordinal until it is gone.
    """
    by_deployment: dict[tuple[str, str], list[Running]] = defaultdict(list)
    for pod in running:
        by_deployment[pod.key.namespace, pod.key.deployment].append(pod)
    actions: list[Action] = []
    for deployment in sorted(desired.keys() | by_deployment.keys()):
        template = desired.get(deployment)
        pods = sorted(by_deployment[deployment], key=lambda pod: pod.key)
        if template is None or template.complaint:
            actions.extend(Stop(pod.key) for pod in pods if not pod.stopping)
        else:
            actions.extend(_of_deployment(template, pods))
    return actions


def _of_deployment(template: PodTemplateSpec, pods: list[Running]) -> list[Action]:
    current = [pod for pod in pods if not pod.stopping and pod.revision == template.revision]
    old = [pod for pod in pods if not pod.stopping and pod.revision != template.revision]
    surplus = len(current) - template.replicas
    if surplus > 0:
        # What serves nobody goes first, then the highest ordinals.
        ordered = sorted(current, key=lambda pod: (pod.ready, -pod.key.ordinal))
        leaving = {pod.key for pod in ordered[:surplus]}
    else:
        leaving = set()
    ready = sum(pod.ready for pod in current if pod.key not in leaving)
    keep_old = max(0, template.replicas - ready)
    # Of the old ones, those that serve are worth keeping longest.
    retained = {pod.key for pod in sorted(old, key=lambda pod: (not pod.ready, pod.key.ordinal))[:keep_old]}
    leaving |= {pod.key for pod in old} - retained
    taken = {pod.key.ordinal for pod in pods}
    starts = _free_keys(template, taken, max(0, -surplus))
    return [*starts, *(Stop(key) for key in sorted(leaving))]


def _free_keys(template: PodTemplateSpec, taken: set[int], count: int) -> list[Start]:
    starts: list[Start] = []
    ordinal = 0
    while len(starts) < count:
        ordinal += 1
        if ordinal not in taken:
            starts.append(Start(PodKey(template.namespace, template.deployment, ordinal)))
    return starts
