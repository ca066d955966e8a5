"""One YAML text with sidecars in its Pods."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import yaml

from mizzen.api.document import Document, read
from mizzen.api.problem import Path
from mizzen.cli.kubeinject.splice import CannotSplice, Edit, applied, spliced
from mizzen.cli.kubeinject.workloads import Workload, workloads
from mizzen.injector.injection.decision import decide
from mizzen.injector.injection.inject import Place, inject
from mizzen.injector.injection.names import InjectionError
from mizzen.injector.injection.pods import check_shape, copied
from mizzen.injector.injection.settings import Policy, Settings

EVERYONE = Policy(policy="enabled")
"""Whoever names a file wants its Pods injected; only the Pods themselves can refuse."""


@dataclass(slots=True)
class Result:
    """The new text; what a person should know of it; what is wrong, which leaves the text without meaning."""

    text: str
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Change(NamedTuple):
    """A document that gets another value."""

    document: Document
    node: yaml.Node
    new: Any


def inject_text(text: str, file: str, settings: Settings, namespace: str = "default") -> Result:
    """Inject every Pod of a text. Where nothing is injected the text comes back as it is."""
    result = Result(text)
    documents = list(read(text))
    broken = [document for document in documents if document.error]
    if broken:
        result.errors = [f"{file}:{document.error.line}: {document.error}" for document in broken if document.error]
        return result
    changes = [
        Change(document, node, new)
        for document, node in zip(documents, _roots(text), strict=True)
        if (new := _injected(document, file, settings, namespace, result)) is not None
    ]
    if not result.errors:
        result.text = _rewritten(text, file, changes, result)
    return result


def _roots(text: str) -> list[yaml.Node]:
    """The documents that `read` counts. The slow parser of PyYAML: its marks count characters, libyaml's need not."""
    nodes = yaml.compose_all(text, Loader=yaml.SafeLoader)
    return [
        node
        for node in nodes
        if node is not None and not (isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null")
    ]


def _injected(document: Document, file: str, settings: Settings, namespace: str, result: Result) -> Any | None:
    """The document's new value; None where it stays as it is."""
    new = None
    for workload in workloads(document.value, namespace):
        place = f"{file}:{document.line_of(workload.path)}: {workload.name}"
        try:
            pod = _inject_one(workload, settings, place, result)
        except InjectionError as error:
            result.errors.append(f"{place}: {error}")
            continue
        if pod is not None:
            new = _put(copied(document.value) if new is None else new, workload.path, pod)
    return new


def _inject_one(workload: Workload, settings: Settings, place: str, result: Result) -> Any | None:
    if not isinstance(workload.pod, dict):
        raise InjectionError("the Pod's template must be a mapping")
    check_shape(workload.pod)
    decision = decide(workload.pod, workload.owner.namespace, EVERYONE)
    if decision.warning:
        result.warnings.append(f"{place}: {decision.warning}")
    if not decision.inject:
        result.warnings.append(f"{place} gets no sidecar: {decision.reason}")
        return None
    injected = inject(workload.pod, settings, Place(workload.owner.namespace, workload.owner))
    result.warnings += [f"{place}: {warning}" for warning in injected.warnings]
    return injected.pod


def _put(value: Any, path: Path, pod: Any) -> Any:
    if not path:
        return pod
    holder = value
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = pod
    return value


def _rewritten(text: str, file: str, changes: list[Change], result: Result) -> str:
    """Small edits where they give the wanted values; other documents are written anew."""
    edits: dict[int, list[Edit]] = {}
    anew: dict[int, str] = {}
    for change in changes:
        try:
            edits[change.document.number] = spliced(text, change.node, change.document.value, change.new)
        except CannotSplice as error:
            anew[change.document.number] = str(error)
    found = _values(applied(text, [edit for some in edits.values() for edit in some]))
    for change in changes:
        number = change.document.number
        if number in edits and found.get(number) != change.new:
            anew[number] = "its form is unusual"
        if number in anew:
            whole = yaml.safe_dump(change.new, sort_keys=False, allow_unicode=True)
            edits[number] = [Edit(change.node.start_mark.index, change.node.end_mark.index, whole)]
            place = f"{file}:{change.document.line}"
            result.warnings.append(f"{place}: the document is written anew, without comments: {anew[number]}")
    return applied(text, [edit for some in edits.values() for edit in some])


def _values(text: str) -> dict[int, Any]:
    """By number; without documents that cannot be read."""
    return {document.number: document.value for document in read(text) if document.error is None}


def with_revision(settings: Settings, revision: str) -> Settings:
    """Settings of another control plane's revision."""
    return replace(settings, values=settings.values.model_copy(update={"revision": revision}))
