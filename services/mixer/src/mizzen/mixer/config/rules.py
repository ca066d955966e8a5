"""Rules: their match compiled, and their actions resolved to handlers and instances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mizzen.api.mixer.rule import Action, HeaderOperation, HeaderOperationTemplate, Rule, Sampling
from mizzen.api.problem import Path
from mizzen.api.resource import Resource
from mizzen.attributes.values import ValueType
from mizzen.mixer.adapter import OutputAdapter
from mizzen.mixer.config.handlers import HandlerConfig
from mizzen.mixer.config.instances import InstanceConfig
from mizzen.mixer.config.names import full_name, nearest, resolve
from mizzen.mixer.config.problems import Problems
from mizzen.mixer.config.templates import Variety
from mizzen.mixer.config.vocabulary import WithOutputs
from mizzen.mixer.expressions.checker import Vocabulary
from mizzen.mixer.expressions.expression import Expression
from mizzen.mixer.verdict import HeaderAction


@dataclass(frozen=True, slots=True)
class ActionConfig:
    """Instances for one handler."""

    handler: HandlerConfig
    instances: tuple[InstanceConfig, ...]
    name: str = ""
    """By which header operations read its output; "" for none."""


@dataclass(frozen=True, slots=True)
class HeaderConfig:
    """An edit of one header; None for the value of a removal."""

    name: str
    action: HeaderAction
    value: Expression | None


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """Which requests reports are made of; the expression gives the numerator of a random share."""

    spec: Sampling
    numerator: Expression | None = None


@dataclass(frozen=True, slots=True)
class RuleConfig:
    """A rule that can be tried."""

    name: str
    namespace: str
    match: Expression | None
    """None: every request."""
    actions: tuple[ActionConfig, ...]
    request_headers: tuple[HeaderConfig, ...] = ()
    response_headers: tuple[HeaderConfig, ...] = ()
    sampling: SamplingConfig | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What rules may refer to."""

    vocabulary: Vocabulary
    handlers: Mapping[str, HandlerConfig]
    instances: Mapping[str, InstanceConfig]


def rule_of(resource: Resource, known: Known, problems: Problems) -> RuleConfig | None:
    """Compile a rule; None after a problem that leaves nothing of it."""
    spec = resource.spec
    assert isinstance(spec, Rule)  # noqa: S101 - the model of this kind
    field = "match" if spec.match or not spec.selector else "selector"
    text = (spec.match or spec.selector).strip()
    match = None
    if text not in ("", "true"):
        match = problems.compile(resource, (field,), text, known.vocabulary, ValueType.BOOL)
        if match is None:
            problems.quarantined[resource.id] = f"spec.{field}: {problems.found[-1].message}"
            return None
    actions = tuple(_actions(resource, spec, known, problems))
    named = (action.name for action in actions if action.name)
    edits = _HeaderCompiler(resource, WithOutputs(known.vocabulary, named), problems)
    request = tuple(edits.compile("requestHeaderOperations", spec.request_header_operations))
    response = tuple(edits.compile("responseHeaderOperations", spec.response_header_operations))
    if not actions and not request and not response:
        nothing = "the rule has no action that could be taken"
        problems.quarantine(resource, ("actions",), nothing, missing=bool(spec.actions))
        return None
    sampling = _sampling(resource, spec, actions, known, problems)
    name, namespace = full_name(resource.key), resource.metadata.namespace
    return RuleConfig(name, namespace, match, actions, request, response, sampling)


def _actions(resource: Resource, spec: Rule, known: Known, problems: Problems) -> Iterator[ActionConfig]:
    for index, action in enumerate(spec.actions):
        at: Path = ("actions", index)
        reference = resolve(action.handler, "handler", resource.metadata.namespace, known.handlers)
        if reference is None:
            problems.missing(
                resource, (*at, "handler"), _unknown("handler", action.handler, resource, (known.handlers, problems))
            )
            continue
        handler = known.handlers[reference]
        instances = tuple(_instances(resource, action, handler, at, (known, problems)))
        if instances:
            yield ActionConfig(handler, instances, action.name if isinstance(handler.adapter, OutputAdapter) else "")
        else:
            problems.missing(resource, (*at, "instances"), "none of them can be used; the action is left out")


def _unknown(word: str, reference: str, resource: Resource, among: tuple[Iterable[str], Problems]) -> str:
    """The sentence for a reference to nothing, which may be to something that is quarantined, or a slip of the pen."""
    known, problems = among
    namespace = resource.metadata.namespace
    names = reference.split(".")
    for id_, reason in problems.quarantined.items():
        kind, _, place = id_.partition(" ")
        if place.endswith(f"/{names[0]}") and kind != "rule" and (len(names) < 2 or kind in (names[1], word)):
            return f"{word} {reference} cannot be used: {id_} is left out ({reason})"
    near = nearest(reference, word, namespace, known)
    hint = f"; did you mean {near}?" if near else ""
    return f"there is no {word} {reference or '(none given)'} in or from namespace {namespace}{hint}"


def _instances(
    resource: Resource, action: Action, handler: HandlerConfig, at: Path, tools: tuple[Known, Problems]
) -> Iterator[InstanceConfig]:
    known, problems = tools
    seen: set[str] = set()
    for index, text in enumerate(action.instances):
        path = (*at, "instances", index)
        reference = resolve(text, "instance", resource.metadata.namespace, known.instances)
        if reference is None:
            problems.missing(resource, path, _unknown("instance", text, resource, (known.instances, problems)))
            continue
        instance = known.instances[reference]
        template = instance.template.name
        if reference in seen:
            problems.error(resource, path, f"{reference} stands twice in one action")
        elif template not in handler.templates:
            takes = ", ".join(sorted(handler.templates)) or "none"
            problems.error(
                resource, path, f"{reference} is of template {template}, which {handler.name} does not take ({takes})"
            )
        else:
            seen.add(reference)
            yield instance


@dataclass(frozen=True, slots=True)
class _HeaderCompiler:
    """Compiles the header operations of one rule."""

    resource: Resource
    vocabulary: Vocabulary
    problems: Problems

    def compile(self, field: str, operations: tuple[HeaderOperationTemplate, ...]) -> Iterator[HeaderConfig]:
        """One edit for each value."""
        for index, operation in enumerate(operations):
            name, action = operation.name.lower(), HeaderAction[operation.operation]
            if operation.operation is HeaderOperation.REMOVE:
                yield HeaderConfig(name, action, None)
                continue
            for number, text in enumerate(operation.values):
                path = (field, index, "values", number)
                value = self.problems.compile(self.resource, path, text, self.vocabulary, ValueType.STRING)
                if value is not None:
                    yield HeaderConfig(name, action, value)


def _sampling(
    resource: Resource, spec: Rule, actions: tuple[ActionConfig, ...], known: Known, problems: Problems
) -> SamplingConfig | None:
    if spec.sampling is None:
        return None
    varieties = {instance.template.variety for action in actions for instance in action.instances}
    if varieties != {Variety.REPORT}:
        problems.warning(resource, ("sampling",), "is for reports only; checks and quotas are never left to chance")
    text = spec.sampling.random.attribute_expression if spec.sampling.random else ""
    if not text:
        return SamplingConfig(spec.sampling)
    path = ("sampling", "random", "attributeExpression")
    return SamplingConfig(spec.sampling, problems.compile(resource, path, text, known.vocabulary))
