"""Instances: from the expressions of a resource to a function that builds what an adapter gets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import ValidationError

from mizzen.api import wording
from mizzen.api.mixer.instance import Instance as InstanceSpec
from mizzen.api.problem import Path
from mizzen.api.resource import Resource
from mizzen.api.types import Model, camel_case
from mizzen.attributes.bag import Bag, DictBag
from mizzen.attributes.values import ValueType
from mizzen.mixer.config.names import full_name
from mizzen.mixer.config.problems import Problems
from mizzen.mixer.config.templates import TEMPLATES, FieldType, Shape, Template
from mizzen.mixer.expressions.attributes import Evaluate
from mizzen.mixer.expressions.checker import Vocabulary
from mizzen.mixer.expressions.compiler import constant
from mizzen.mixer.expressions.errors import EvaluationError
from mizzen.mixer.expressions.expression import Expression
from mizzen.mixer.templates import Instance

OUTPUT = "$out."
"""What stands before a field of a generator's answer in an attribute binding."""
_NO_ATTRIBUTES = DictBag({})
Build = Callable[[Bag], Instance]


@dataclass(frozen=True, slots=True)
class InstanceConfig:
    """An instance that can be built."""

    name: str
    template: Template
    build: Build
    """Raises EvaluationError, which names the instance and the field."""
    types: Mapping[str, ValueType]
    expressions: Mapping[str, str]
    """The text of every field that is set, by the same names as the types."""
    bindings: Mapping[str, Expression]
    """Of a generator: attributes, and what they are of its answer."""


def instance_of(resource: Resource, vocabulary: Vocabulary, problems: Problems) -> InstanceConfig | None:
    """Compile an instance; None after problems with it."""
    found = _parameters(resource, problems)
    if found is None:
        return None
    template, model, at = found
    before = len(problems.found)
    compiler = _Compiler(resource, vocabulary, problems)
    fields = compiler.fields(template.fields, model, at)
    bindings = compiler.bindings(resource, template, model)
    errors = [problem for problem in problems.found[before:] if problem.severity == "error"]
    if errors:
        problems.quarantined[resource.id] = f"{errors[0].path}: {errors[0].message}"
        return None
    name = full_name(resource.key)
    build = _builder(name, template, fields, compiler.compiled)
    types = {path: expression.type for path, expression in compiler.compiled.items()}
    texts = {path: expression.text for path, expression in compiler.compiled.items()}
    return InstanceConfig(name, template, build, types, texts, bindings)


def _parameters(resource: Resource, problems: Problems) -> tuple[Template, Model, Path] | None:
    """The template, its parameters, and where in the spec they stand."""
    spec = resource.spec
    if not isinstance(spec, InstanceSpec):
        template = TEMPLATES.get(resource.kind)
        if template is None:
            problems.quarantine(resource, (), f"there is no template {resource.kind}; there are {', '.join(TEMPLATES)}")
            return None
        return template, spec, ()
    field, name = (
        ("compiledTemplate", spec.compiled_template) if spec.compiled_template else ("template", spec.template)
    )
    template = TEMPLATES.get(name.split(".", 1)[0])
    if template is None:
        problems.quarantine(resource, (field,), f"there is no template {name}; there are {', '.join(TEMPLATES)}")
        return None
    try:
        return template, template.model.model_validate(spec.params), ("params",)
    except ValidationError as failure:
        for details in failure.errors(include_url=False):
            path = ("params", *wording.location(details))
            problems.quarantine(resource, path, wording.message(details, template.model))
        return None


@dataclass(slots=True)
class _Compiler:
    """Compiles the fields of one instance."""

    resource: Resource
    vocabulary: Vocabulary
    problems: Problems
    compiled: dict[str, Expression] = dataclasses.field(default_factory=dict)
    """By name: `value`, `dimensions.source`, `subject.user`."""

    def fields(self, types: Mapping[str, FieldType], model: Model, at: Path, prefix: str = "") -> dict[str, Any]:
        """Expressions by field, mappings of them for maps and nested fields; what is not set is left out."""
        found: dict[str, Any] = {}
        for name, type_ in types.items():
            given = getattr(model, name)
            path: Path = (*at, camel_case(name))
            if isinstance(type_, Mapping):
                found[name] = self.fields(type_, given, path, f"{prefix}{name}.")
            elif type_ is Shape.MAP:
                found[name] = {
                    key: self._expression(text, (*path, key), f"{prefix}{name}.{key}") for key, text in given.items()
                }
            elif given:
                wanted = type_ if isinstance(type_, ValueType) else None
                found[name] = self._expression(given, path, f"{prefix}{name}", wanted)
        return found

    def _expression(self, text: str, path: Path, name: str, wanted: ValueType | None = None) -> Expression | None:
        expression = self.problems.compile(self.resource, path, text, self.vocabulary, wanted)
        if expression is not None:
            self.compiled[name] = expression
        return expression

    def bindings(self, resource: Resource, template: Template, model: Model) -> dict[str, Expression]:
        """The attribute bindings of a generator; one for an attribute that is not declared is left out, as in Istio."""
        if not template.output:
            return {}
        at: Path = ("attributeBindings",)
        given = dict(getattr(model, "attribute_bindings", {}))
        if isinstance(resource.spec, InstanceSpec):
            given |= resource.spec.attribute_bindings
        vocabulary = {**self.vocabulary, **{OUTPUT + name: type_ for name, type_ in template.output.items()}}
        found: dict[str, Expression] = {}
        for name, text in given.items():
            wanted = self.vocabulary.get(name)
            if wanted is None:
                self.problems.warning(resource, (*at, name), f"{name} is declared in no attributemanifest; not bound")
                continue
            expression = self.problems.compile(resource, (*at, name), text, vocabulary, wanted)
            if expression is not None:
                found[name] = expression
        return found


def _builder(name: str, template: Template, fields: Mapping[str, Any], compiled: Mapping[str, Expression]) -> Build:
    """A function from a bag to an instance; an instance without attributes is built once."""
    build = _construct(template.instance, template.fields, fields, name)
    if all(expression.is_constant for expression in compiled.values()):
        only = build(_NO_ATTRIBUTES)
        return lambda bag: only

    def run(bag: Bag) -> Instance:
        try:
            return build(bag)  # type: ignore[no-any-return]
        except EvaluationError as error:
            raise EvaluationError(f"instance {name}: {_culprit(compiled, bag)}: {error}") from None

    return run


def _culprit(compiled: Mapping[str, Expression], bag: Bag) -> str:
    """The first field that has no value."""
    for path, expression in compiled.items():
        try:
            expression.evaluate(bag)
        except EvaluationError:
            return path
    return "a field"


def _construct(kind: type, types: Mapping[str, FieldType], fields: Mapping[str, Any], *leading: str) -> Evaluate:
    """Build `kind` from the fields that are set, and its zero values for the others."""
    zero = kind(*leading)
    hints = get_type_hints(kind)
    readers: list[Evaluate] = []
    for name, type_ in types.items():
        given = fields.get(name)
        if not given:
            readers.append(constant(getattr(zero, name)).run)
        elif isinstance(type_, Mapping):
            readers.append(_construct(hints[name], type_, given))
        elif type_ is Shape.MAP:
            readers.append(_map(given))
        else:
            readers.append(given.evaluate)
    return lambda bag: kind(*leading, *[read(bag) for read in readers])


def _map(fields: Mapping[str, Expression]) -> Evaluate:
    items = [(key, expression.evaluate) for key, expression in fields.items()]
    return lambda bag: {key: evaluate(bag) for key, evaluate in items}
