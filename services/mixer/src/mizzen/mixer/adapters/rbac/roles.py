"""Decides by roles and bindings. Source: mixer/adapter/rbac at Istio 1.0.9."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

from mizzen.api.mixer.rbac import AccessRule, ServiceRole, ServiceRoleBinding, Subject
from mizzen.attributes.values import Value
from mizzen.mixer.adapters.rbac.resources import Named
from mizzen.mixer.templates import Action, Authorization
from mizzen.mixer.templates import Subject as Caller

log = logging.getLogger(__name__)

Role = tuple[Sequence[AccessRule], Sequence[Subject]]


class Roles:
    """Rules and subjects of each namespace's roles, built once and never changed."""

    def __init__(self, resources: Iterable[Named]) -> None:
        rules: dict[tuple[str, str], Sequence[AccessRule]] = {}
        subjects: dict[tuple[str, str], list[Subject]] = {}
        bindings = []
        for resource in resources:
            if isinstance(resource.spec, ServiceRole):
                rules[resource.namespace, resource.name] = resource.spec.rules
            else:
                bindings.append((resource, resource.spec))
        for resource, binding in bindings:
            if problem := _problem(resource, binding, rules):
                log.error("ServiceRoleBinding %s/%s is left out: %s", resource.namespace, resource.name, problem)
            else:
                subjects.setdefault((resource.namespace, binding.role_ref.name), []).extend(binding.subjects)
        self._roles: dict[str, list[Role]] = {}
        for (namespace, name), its_rules in rules.items():
            its_subjects = subjects.get((namespace, name), [])
            self._roles.setdefault(namespace, []).append((its_rules, its_subjects))

    def allow(self, instance: Authorization) -> bool:
        """Whether some role covers the action and is bound to the subject. The action must be known in full."""
        action = instance.action
        if not (action.namespace and action.service and action.path and action.method):
            return False
        return any(
            any(_covers(rule, action) for rule in rules) and any(_is(subject, instance.subject) for subject in subjects)
            for rules, subjects in self._roles.get(action.namespace, ())
        )


def _problem(resource: Named, binding: ServiceRoleBinding, rules: Mapping[tuple[str, str], object]) -> str:
    if binding.role_ref.kind != "ServiceRole":
        return f"roleRef.kind must be ServiceRole, got {binding.role_ref.kind!r}"
    if (resource.namespace, binding.role_ref.name) not in rules:
        return f"there is no ServiceRole {resource.namespace}/{binding.role_ref.name}"
    return ""


def _covers(rule: AccessRule, action: Action) -> bool:
    return (
        _matches(action.service, rule.services)
        and (not rule.paths or _matches(action.path, rule.paths))
        and _matches(action.method, rule.methods)
        and all(_has_one_of(action.properties.get(c.key), c.values) for c in rule.constraints)
    )


def _is(subject: Subject, caller: Caller) -> bool:
    """A subject that says nothing is nobody."""
    if not (subject.user or subject.group or subject.properties):
        return False
    return (
        subject.user in ("", "*", caller.user)
        and subject.group in ("", "*", caller.groups)
        and all(caller.properties.get(name) == value for name, value in subject.properties.items())
    )


def _has_one_of(value: Value | None, patterns: Sequence[str]) -> bool:
    return isinstance(value, str) and _matches(value, patterns)


def _matches(text: str, patterns: Sequence[str]) -> bool:
    """Equal, or by a star at the end, at the beginning, or alone."""
    return any(
        text == pattern
        or (pattern.endswith("*") and text.startswith(pattern.removesuffix("*")))
        or (pattern.startswith("*") and text.endswith(pattern.removeprefix("*")))
        for pattern in patterns
    )
