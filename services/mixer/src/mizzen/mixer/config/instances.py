"""Instances: from the expressions of a resource to a function that builds what an adapter gets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

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
from mizzen.mixer.expressions.compiler import Code, constant
from mizzen.mixer.expressions.errors import EvaluationError
from mizzen.mixer.expressions.expression import Expression, constant_expression
from mizzen.mixer.expressions.reads import Read
from mizzen.mixer.templates import Instance

OUTPUT = "$out."
"""What stands before a field of a generator's answer in an attribute binding."""
_NO_ATTRIBUTES = DictBag({})
Build = Callable[[Bag], Instance]
K = TypeVar("K", int, str)


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
    bind: Callable[[Bag], Build]
    """For requests that are like this one in what is steady: `build`, with what that decides decided."""
    reads: frozenset[Read]
    """Everything that `build` may read."""


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
    definition = _Definition(name, template, fields, compiler.compiled)
    types = {path: expression.type for path, expression in compiler.compiled.items()}
    texts = {path: expression.text for path, expression in compiler.compiled.items()}
    reads = frozenset().union(*[expression.reads for expression in compiler.compiled.values()])
    return InstanceConfig(name, template, definition.build(), types, texts, bindings, definition.bind, reads)


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


@dataclass(frozen=True, slots=True)
class _Definition:
    """An instance's compiled fields, as a tree and by name."""

    name: str
    template: Template
    fields: Mapping[str, Any]
    compiled: Mapping[str, Expression]

    def build(self, fields: Mapping[str, Any] | None = None) -> Build:
        """A function from a bag to an instance; an instance without attributes is built once."""
        fields = self.fields if fields is None else fields
        read = _construct(self.template.instance, self.template.fields, fields, self.name)
        if read.is_constant:
            only = read.run(_NO_ATTRIBUTES)
            return lambda bag: only
        name, compiled, build = self.name, self.compiled, read.run

        def run(bag: Bag) -> Instance:
            try:
                return build(bag)  # type: ignore[no-any-return]
            except EvaluationError as error:
                raise EvaluationError(f"instance {name}: {_culprit(compiled, bag)}: {error}") from None

        return run

    def bind(self, bag: Bag) -> Build:
        """See `InstanceConfig.bind`. What is in error is left to each request, which tells of it."""
        try:
            known = {id(e): _value_of(e, bag) for e in self.compiled.values() if e.is_steady}
        except EvaluationError:
            return self.build()
        return self.build(_replaced(self.fields, known))


def _value_of(expression: Expression, bag: Bag) -> Expression:
    return constant_expression(expression.evaluate(bag), expression.type)


def _replaced(fields: Mapping[str, Any], known: Mapping[int, Expression]) -> dict[str, Any]:
    """The same tree, with expressions that have become known, by their id."""
    return {
        name: _replaced(given, known) if isinstance(given, Mapping) else known.get(id(given), given)
        for name, given in fields.items()
    }


def _culprit(compiled: Mapping[str, Expression], bag: Bag) -> str:
    """The first field that has no value."""
    for path, expression in compiled.items():
        try:
            expression.evaluate(bag)
        except EvaluationError:
            return path
    return "a field"


def _construct(kind: type, types: Mapping[str, FieldType], fields: Mapping[str, Any], *leading: str) -> Code:
    """Build `kind` from the fields that are set, and its zero values for the others."""
    zero = kind(*leading)
    hints = get_type_hints(kind)
    parts: list[Code] = [constant(value) for value in leading]
    for name, type_ in types.items():
        given = fields.get(name)
        if not given:
            parts.append(constant(getattr(zero, name)))
        elif isinstance(type_, Mapping):
            parts.append(_construct(hints[name], type_, given))
        elif type_ is Shape.MAP:
            parts.append(_map(given))
        else:
            parts.append(Code(given.evaluate, given.is_constant))
    known, unknown = _split(dict(enumerate(parts)))
    filled = list(known.values())

    def run(bag: Bag) -> Any:
        values = filled.copy()
        for place, read in unknown:
            values[place] = read(bag)
        return kind(*values)

    return Code(run, is_constant=not unknown)


def _map(fields: Mapping[str, Expression]) -> Code:
    """A mapping of the same keys; one that is the same for every request is made once."""
    known, unknown = _split({key: Code(field.evaluate, field.is_constant) for key, field in fields.items()})
    if not unknown:
        return constant(known)
    if len(unknown) == len(known):
        return Code(lambda bag: {key: read(bag) for key, read in unknown})
    return Code(lambda bag: known | {key: read(bag) for key, read in unknown})


def _split(parts: Mapping[K, Code]) -> tuple[dict[K, Any], list[tuple[K, Evaluate]]]:
    """Values of those that are constant, None in the places of the others, and those others."""
    known = {key: part.run(_NO_ATTRIBUTES) if part.is_constant else None for key, part in parts.items()}
    return known, [(key, part.run) for key, part in parts.items() if not part.is_constant]
