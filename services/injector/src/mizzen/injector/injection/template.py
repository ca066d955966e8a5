"""Templates: the built-in ones are functions, those of users are partial Pods in YAML with Jinja expressions.

The YAML is read first and expressions are evaluated in its strings, one by one: whatever a label or an annotation
holds, it stays one value and never becomes structure. A string that is one expression keeps the expression's type
(`containerPort: "{{ values.global.proxy.statusPort }}"` gives a number), any other string gives text. The sandbox has
no loops over the outside, no imports and no attributes with underscores.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import yaml
from jinja2 import StrictUndefined, TemplateError, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mizzen.injector.injection import names
from mizzen.injector.injection.names import InjectionError, Object
from mizzen.injector.injection.sidecar import BUILT_IN
from mizzen.injector.injection.subject import Subject

_ONE_EXPRESSION = re.compile(r"\s*\{\{((?:(?!\}\}|\{\{).)*)\}\}\s*", re.DOTALL)
_jinja = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


def template_names(subject: Subject) -> list[str]:
    """Which templates the Pod gets, in their order: those of its annotation, else the default ones."""
    policy = subject.settings.policy
    stated = subject.annotations.get(names.TEMPLATES)
    chosen = policy.default_templates if stated is None else [name.strip() for name in stated.split(",")]
    return [member for name in chosen for member in policy.aliases.get(name, (name,))]


def render(name: str, subject: Subject) -> Object:
    """The partial Pod that a template gives for this Pod; raises InjectionError."""
    text = subject.settings.policy.templates.get(name)
    if text is None:
        if name not in BUILT_IN:
            known = sorted({*BUILT_IN, *subject.settings.policy.templates, *subject.settings.policy.aliases})
            raise InjectionError(f"there is no template {name!r} ({names.TEMPLATES}); known: {', '.join(known)}")
        return BUILT_IN[name](subject)
    try:
        result = _fill(_read(text), _variables(subject))
    except (TemplateError, ValueError, TypeError, ArithmeticError, LookupError) as error:
        raise InjectionError(f"template {name}: {error}") from error
    if not isinstance(result, dict) or not all(isinstance(result.get(part, {}), dict) for part in ("metadata", "spec")):
        raise InjectionError(f"template {name}: must be a partial Pod, a mapping with metadata and spec")
    return result


@lru_cache(maxsize=64)
def _read(text: str) -> Any:
    """The template as plain values; the cache is read only."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"this is not YAML: {' '.join(str(error).split())}") from error


def _variables(subject: Subject) -> dict[str, Any]:
    """What expressions may use; `docs/injection.md` lists it."""
    owner = subject.owner
    return {
        "pod": subject.pod,
        "labels": subject.labels,
        "annotations": subject.annotations,
        "owner": {"name": owner.name, "kind": owner.kind, "namespace": owner.namespace},
        "values": subject.values.model_dump(mode="json", by_alias=True),
        "mesh": subject.mesh.model_dump(mode="json", by_alias=True),
        "proxy": subject.proxy.model_dump(mode="json", by_alias=True),
        "revision": subject.settings.revision,
        "native": subject.native,
    }


def _fill(value: Any, variables: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _fill(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, variables) for item in value]
    if not isinstance(value, str) or "{" not in value:
        return value
    if found := _ONE_EXPRESSION.fullmatch(value):
        result = _jinja.compile_expression(found[1], undefined_to_none=False)(**variables)
        if isinstance(result, Undefined):
            str(result)  # raises the error that names the variable
        return result
    return _jinja.from_string(value).render(variables)
