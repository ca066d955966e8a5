"""YAML text to resources. Nothing is lost in silence, and a bad resource never takes another with it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from mizzen.api import wording
from mizzen.api.document import Document, read
from mizzen.api.kinds import IGNORED, KINDS, Kind
from mizzen.api.partial import Gaps, as_written, build_partial
from mizzen.api.problem import Path, Problem, Severity, Source
from mizzen.api.resource import Metadata, Resource, ResourceKey, kind_key
from mizzen.api.rules import check_metadata
from mizzen.api.types import Model

M = TypeVar("M", bound=Model)

_UNREAD_METADATA = frozenset(
    {"clusterName", "deletionGracePeriodSeconds", "finalizers", "generateName", "managedFields", "selfLink"}
)
"""Fields of Kubernetes' object metadata that a mesh has no use for."""
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""kubectl's own copy of the object: a second one to keep, and of a Secret one that nobody would know to hide."""

_TOP_LEVEL = ("apiVersion", "kind", "metadata", "spec", "status")


@dataclass(frozen=True, slots=True)
class Parsed:
    """The good resources of a text, and everything that is wrong with the others (or worth a warning)."""

    resources: tuple[Resource, ...]
    problems: tuple[Problem, ...]
    refused: tuple[Resource, ...] = ()
    """What can be told of resources that are left out: to say to whom they would matter, not to be used."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep a resource out."""
        return tuple(problem for problem in self.problems if problem.severity == "error")


def parse(text: str, *, file: str = "<text>", default_namespace: str = "default") -> Parsed:
    """Read all resources of a YAML text. Bad input never raises: it becomes problems, and its resource is left out."""
    resources: list[Resource] = []
    problems: list[Problem] = []
    for document in read(text):
        if document.error is not None:
            source = Source(file, document.number, document.error.line)
            problems.append(Problem(source, "", "", str(document.error)))
            continue
        for root in _objects(document.value, ()):
            reader = _Reader(document, file, root)
            resource = reader.read(default_namespace)
            if resource is not None:
                resources.append(resource)
            problems.extend(sorted(reader.problems, key=lambda problem: problem.source.line if problem.source else 0))
    return Parsed(tuple(resources), tuple(problems))


def parse_object(data: Any, *, default_namespace: str = "default") -> Parsed:
    """Read one resource that does not come from a text, such as an API server's JSON: nothing in it has a source.

    Bad input never raises.
    """
    reader = _Reader(Document(1, 1, data), "", ())
    resource = reader.read(default_namespace)
    refused = (reader.refused,) if reader.refused is not None else ()
    return Parsed((resource,) if resource is not None else (), tuple(reader.problems), refused)


def _objects(value: Any, root: Path) -> Iterator[Path]:
    """The paths of the single objects in a document: itself, or the items of a List."""
    if isinstance(value, dict) and str(value.get("kind", "")).endswith("List") and isinstance(value.get("items"), list):
        for index, item in enumerate(value["items"]):
            yield from _objects(item, (*root, "items", index))
    else:
        yield root


def _unknown_kind(name: str, group: str) -> str:
    """The sentence for a kind that nothing here reads, with those of its group that are."""
    known = [kind.name for kind in KINDS.values() if kind.group == group]
    groups = ", ".join(sorted({kind.group or "core" for kind in KINDS.values()}))
    hint = wording.suggestion(name, known) if known else f"; groups with known kinds: {groups}"
    return f"kind {name} of group {group or 'core'} is not known{hint}"


@dataclass(slots=True)
class _Reader:
    """Reads one object of a document and collects its problems; no file means that nobody wrote it in one."""

    document: Document
    file: str
    root: Path
    data: Any = None
    resource: str = ""
    problems: list[Problem] = field(default_factory=list)
    refused: Resource | None = None

    def read(self, default_namespace: str) -> Resource | None:
        self.data = self.document.value
        for part in self.root:
            self.data = self.data[part]
        if not isinstance(self.data, dict):
            given = wording.show(self.data)
            self._problem((), f"must be a resource with apiVersion, kind, metadata and spec, got {given}")
            return None
        kind = self._kind()
        if kind is None:
            return None
        self.resource = kind.key
        metadata = self._metadata(kind, default_namespace)
        spec = self._spec(kind, metadata or Metadata(name="unnamed", namespace=default_namespace))
        status = self._model(kind.status, self._given("status"), ("status",))[0] if kind.status else None
        if metadata is None or spec is None:
            return None
        resource = Resource(self.data["apiVersion"], kind.name, metadata, spec, status, self._source(()))
        if any(problem.severity == "error" for problem in self.problems):
            self.refused = resource
            return None
        return resource

    def _kind(self) -> Kind | None:
        """The kind, when it is known and served under the object's apiVersion."""
        name = self._required_text("kind")
        version = self._required_text("apiVersion")
        if not name or not version:
            return None
        kind = KINDS.get(kind_key(name, version.rpartition("/")[0]))
        if kind is None and name in IGNORED:
            self._problem(("kind",), f"{name} says nothing to a mesh; it is ignored", "warning")
        elif kind is None:
            self._problem(("kind",), _unknown_kind(name, version.rpartition("/")[0]))
        elif version not in kind.api_versions:
            self._problem(("apiVersion",), f"{name} is served as {', '.join(kind.api_versions)}, not as {version}")
            return None
        return kind

    def _required_text(self, key: str) -> str | None:
        value = self.data.get(key)
        if isinstance(value, str) and value:
            return value
        self._problem((key,), "is required" if value is None else f"must be text, got {wording.show(value)}")
        return None

    def _metadata(self, kind: Kind, default_namespace: str) -> Metadata | None:
        given = self._given("metadata")
        if isinstance(given, dict):
            given = {key: value for key, value in given.items() if key not in _UNREAD_METADATA}
            annotations = given.get("annotations")
            if isinstance(annotations, dict):
                given["annotations"] = {key: value for key, value in annotations.items() if key != _LAST_APPLIED}
            if not kind.namespaced:
                given["namespace"] = ""
            elif given.get("namespace") is None:
                given["namespace"] = default_namespace
            name = given.get("name")
            if isinstance(name, str):
                self.resource = str(ResourceKey(kind.key, str(given["namespace"]), name))
        metadata, gaps = self._model(Metadata, given, ("metadata",))
        if metadata is None:
            return None
        for finding in check_metadata(metadata, label_name=kind.label_name, namespaced=kind.namespaced):
            if not gaps.hide(finding.path):
                self._problem(("metadata", *finding.path), finding.message, finding.severity)
        return metadata

    def _spec(self, kind: Kind, metadata: Metadata) -> Model | None:
        root: Path = () if kind.flat else ("spec",)
        if kind.flat:
            given = {key: value for key, value in self.data.items() if key not in ("apiVersion", "kind", "metadata")}
        else:
            for key in self.data:
                if key not in _TOP_LEVEL:
                    self._problem((key,), wording.unknown_field(key, _TOP_LEVEL))
            if self.data.get("spec") is None and not (kind.is_kubernetes or kind.empty):
                self._problem(root, "is required")
                return None
            given = self._given("spec")
        spec, gaps = self._model(kind.model, given, root)
        if spec is not None and kind.rules is not None:
            for finding in kind.rules(spec, metadata):
                if not gaps.hide(finding.path):
                    self._problem((*root, *finding.path), finding.message, finding.severity)
        return spec

    def _given(self, key: str) -> Any:
        """The value of a top-level field; null and absent are the same."""
        value = self.data.get(key)
        return {} if value is None else value

    def _model(self, model: type[M], value: Any, root: Path) -> tuple[M | None, Gaps]:
        """Validate; after errors, what could still be built and what is missing from it."""
        try:
            return model.model_validate(value), Gaps()
        except ValidationError as error:
            errors = error.errors(include_url=False)
        for details in errors:
            self._problem((*root, *wording.location(details)), wording.message(details, model))
        return build_partial(model, value, errors)

    def _problem(self, path: Path, message: str, severity: Severity = "error") -> None:
        path = as_written(self.data, path)
        self.problems.append(Problem(self._source(path), self.resource, wording.path_text(path), message, severity))

    def _source(self, path: Path) -> Source | None:
        if not self.file:
            return None
        return Source(self.file, self.document.number, self.document.line_of((*self.root, *path)))
