"""All resources of one instant as policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mizzen.api.mixer.instance import TEMPLATES as TEMPLATE_KINDS
from mizzen.api.mixer.kinds import ADAPTERS, GROUP
from mizzen.api.problem import Problem
from mizzen.api.resource import Resource
from mizzen.attributes.values import ValueType
from mizzen.mixer.config.handlers import Find, HandlerConfig, handler_of
from mizzen.mixer.config.instances import InstanceConfig, instance_of
from mizzen.mixer.config.names import full_name
from mizzen.mixer.config.problems import Problems
from mizzen.mixer.config.rules import Known, RuleConfig, rule_of
from mizzen.mixer.config.vocabulary import DEFAULT, vocabulary_of

_INSTANCES = {*TEMPLATE_KINDS, "servicecontrolreport", "instance"}
_HANDLERS = {*ADAPTERS, "handler"}


@dataclass(frozen=True, slots=True)
class Config:
    """What can be used, in the order of kind, namespace and name, and what cannot with its reason."""

    vocabulary: Mapping[str, ValueType] = field(default_factory=lambda: DEFAULT)
    handlers: Mapping[str, HandlerConfig] = field(default_factory=dict)
    instances: Mapping[str, InstanceConfig] = field(default_factory=dict)
    rules: tuple[RuleConfig, ...] = ()
    problems: tuple[Problem, ...] = ()
    quarantined: Mapping[str, str] = field(default_factory=dict)
    """Reasons by the name of a resource, such as "rule default/deny"."""
    given: Mapping[str, int] = field(default_factory=dict)
    """How many resources there were, by what they are for: handler, instance, rule, adapter, template."""


def load(resources: Iterable[Resource], find: Find, *, partial: bool = False) -> Config:
    """Compile everything; `find` gives adapters by name. Bad resources become problems, and never raise.

    `partial`: there may be more resources than these, so that a reference to nothing is no error.
    """
    ordered = sorted((r for r in resources if r.group == GROUP), key=lambda resource: resource.key)
    problems = Problems(partial=partial)
    vocabulary = vocabulary_of((r for r in ordered if r.kind == "attributemanifest"), problems)
    remotes = {full_name(r.key): r for r in ordered if r.kind == "adapter"}
    handlers: dict[str, HandlerConfig] = {}
    instances: dict[str, InstanceConfig] = {}
    for resource in ordered:
        if resource.kind in _HANDLERS:
            handler = handler_of(resource, remotes, find, problems)
            if handler is not None:
                handlers[handler.name] = handler
        elif resource.kind in _INSTANCES:
            instance = instance_of(resource, vocabulary, problems)
            if instance is not None:
                instances[instance.name] = instance
    known = Known(vocabulary, handlers, instances)
    rules = [rule_of(resource, known, problems) for resource in ordered if resource.kind == "rule"]
    return Config(
        vocabulary=vocabulary,
        handlers=handlers,
        instances=instances,
        rules=tuple(rule for rule in rules if rule is not None),
        problems=tuple(problems.found),
        quarantined=dict(problems.quarantined),
        given=Counter(_role(resource.kind) for resource in ordered),
    )


def _role(kind: str) -> str:
    if kind in _HANDLERS:
        return "handler"
    return "instance" if kind in _INSTANCES else kind
