"""ServiceRoles and their bindings as AuthorizationPolicies, as far as an RbacConfig switches them on.

Without one, or with mode OFF, they mean nothing here: Mixer's adapter rbac may still go by them.
Source: rbac/v1alpha1 of istio/api at 1.4; pilot/pkg/security/authz of Istio 1.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mizzen.api.legacy import EnforcementMode, RbacConfig, RbacMode, RbacTarget
from mizzen.api.mixer.rbac import AccessRule, Constraint, Mode, ServiceRole, ServiceRoleBinding, Subject
from mizzen.api.problem import Problem
from mizzen.api.resource import Resource
from mizzen.api.rules.authorizationpolicy import DRY_RUN, KEYS_WITH_NAME, PLAIN_KEYS
from mizzen.api.rules.legacy import DEFAULT
from mizzen.api.security import AuthorizationPolicy, AuthorizationRule, Condition, Operation, RuleFrom, RuleTo, Source
from mizzen.pilot.base.labels import Labels
from mizzen.pilot.snapshot.legacy.made import selector, stand_in
from mizzen.pilot.snapshot.select import of_kind
from mizzen.pilot.snapshot.service import Service

CLUSTER = "ClusterRbacConfig"
_LABEL = "destination.labels["


class Untranslatable(Exception):
    """A condition that has no counterpart; what needs it is left out, so that less is allowed."""


@dataclass(slots=True)
class Roles:
    """What roles mean."""

    policies: list[Resource[AuthorizationPolicy]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class _Grants:
    """What is allowed at some workloads of a service."""

    enforced: list[AuthorizationRule] = field(default_factory=list)
    tried: list[AuthorizationRule] = field(default_factory=list)


def of_roles(resources: Iterable[Resource], services: Mapping[str, tuple[Service, ...]]) -> Roles:
    """All of a mesh; `services` by namespace."""
    found = Roles()
    known = tuple(resources)
    switch = _switch(known)
    if switch is None or switch.spec.mode is RbacMode.OFF:
        return found
    roles = of_kind(known, ServiceRole)
    bindings = of_kind(known, ServiceRoleBinding)
    for namespace, here in services.items():
        own_roles = [role for role in roles if role.metadata.namespace == namespace]
        own_bindings = [binding for binding in bindings if binding.metadata.namespace == namespace]
        found.problems += _dangling(own_roles, own_bindings)
        for service in here:
            if service.selector and _is_on(switch.spec, service):
                _translate(switch, service, own_roles, own_bindings, found)
    return found


def _dangling(
    roles: Iterable[Resource[ServiceRole]], bindings: Iterable[Resource[ServiceRoleBinding]]
) -> Iterator[Problem]:
    """Bindings that allow nobody anything."""
    known = {role.metadata.name for role in roles}
    for binding in bindings:
        name = binding.spec.role_ref.name
        if name not in known:
            message = (
                f"there is no ServiceRole {name} in namespace {binding.metadata.namespace}; nobody is allowed anything"
            )
            yield Problem(binding.source, binding.id, "spec.roleRef.name", message, "warning")


def _switch(resources: Iterable[Resource]) -> Resource[RbacConfig] | None:
    """The one that counts: ClusterRbacConfig replaced RbacConfig."""
    stated = [config for config in of_kind(resources, RbacConfig) if config.metadata.name == DEFAULT]
    return next((config for config in stated if config.kind == CLUSTER), stated[0] if stated else None)


def _is_on(switch: RbacConfig, service: Service) -> bool:
    match switch.mode:
        case RbacMode.ON:
            return True
        case RbacMode.ON_WITH_INCLUSION:
            return _has(switch.inclusion, service)
        case RbacMode.ON_WITH_EXCLUSION:
            return not _has(switch.exclusion, service)
    return False


def _has(target: RbacTarget | None, service: Service) -> bool:
    return target is not None and (service.hostname in target.services or service.namespace in target.namespaces)


def _translate(
    switch: Resource[RbacConfig],
    service: Service,
    roles: Iterable[Resource[ServiceRole]],
    bindings: Iterable[Resource[ServiceRoleBinding]],
    found: Roles,
) -> None:
    """One policy for all workloads of the service, and one for each set of labels that a role demands of them."""
    grants: dict[Labels, _Grants] = {service.selector: _Grants()}
    bound = list(bindings)
    for role in roles:
        for index, rule in enumerate(role.spec.rules):
            if not any(_fits(service.hostname, pattern) for pattern in rule.services):
                continue
            try:
                _grant(service, rule, [each for each in bound if each.spec.role_ref.name == role.metadata.name], grants)
            except Untranslatable as error:
                message = f"{error}; nobody is allowed what it says"
                found.problems.append(Problem(role.source, role.id, f"spec.rules[{index}]", message, "warning"))
    tried = switch.spec.enforcement_mode is EnforcementMode.PERMISSIVE
    for number, (labels, grant) in enumerate(grants.items()):
        name = f"{service.name}-roles" if number == 0 else f"{service.name}-roles-{number}"
        for rules, is_trial, suffix in ((grant.enforced, tried, ""), (grant.tried, True, "-permissive")):
            if not rules and (suffix or number):
                continue  # that nothing is allowed, the first one says
            spec = AuthorizationPolicy(selector=selector(labels), rules=tuple(rules))
            annotations = {DRY_RUN: "true"} if is_trial else None
            found.policies.append(stand_in(switch, spec, service.namespace, name + suffix, annotations))


def _grant(
    service: Service, rule: AccessRule, bindings: Iterable[Resource[ServiceRoleBinding]], grants: dict[Labels, _Grants]
) -> None:
    target, conditions = _operation(rule), []
    alternatives = [service.selector]
    for constraint in rule.constraints:
        if constraint.key.startswith(_LABEL):
            alternatives = [each | {label} for each in alternatives for label in _labels(constraint)]
        elif constraint.key == "destination.namespace":
            if not any(_fits(service.namespace, value) for value in constraint.values):
                return
        else:
            conditions.append(_condition(constraint.key, constraint.values))
    for binding in bindings:
        for subject in binding.spec.subjects:
            made = _allowed(subject, target, conditions)
            if made is None:
                continue
            for labels in alternatives:
                grant = grants.setdefault(labels, _Grants())
                (grant.tried if binding.spec.mode is Mode.PERMISSIVE else grant.enforced).append(made)


def _operation(rule: AccessRule) -> Operation | None:
    """None for everything."""
    methods = () if "*" in rule.methods else rule.methods
    paths = () if "*" in rule.paths else rule.paths
    return Operation(methods=methods, paths=paths) if methods or paths else None


def _labels(constraint: Constraint) -> Iterator[tuple[str, str]]:
    name = constraint.key.removeprefix(_LABEL).removesuffix("]")
    for value in constraint.values:
        if "*" in value:
            raise Untranslatable(f"{constraint.key} with the pattern {value!r} has no counterpart")
        yield name, value


def _condition(key: str, values: tuple[str, ...]) -> Condition:
    if key not in PLAIN_KEYS and not KEYS_WITH_NAME.fullmatch(key):
        raise Untranslatable(f"a condition on {key!r} has no counterpart")
    return Condition(key=key, values=values)


def _allowed(subject: Subject, target: Operation | None, conditions: list[Condition]) -> AuthorizationRule | None:
    """None for a subject that says nothing, and so is nobody."""
    if not (subject.user or subject.group or subject.properties):
        return None
    when = [*conditions]
    if subject.group:
        when.append(Condition(key="request.auth.claims[groups]", values=(subject.group,)))
    when += [_condition(key, (value,)) for key, value in sorted(subject.properties.items())]
    anybody = subject.user in ("", "*")
    return AuthorizationRule(
        from_=None if anybody else (RuleFrom(source=Source(principals=(subject.user,))),),
        to=None if target is None else (RuleTo(operation=target),),
        when=tuple(when),
    )


def _fits(text: str, pattern: str) -> bool:
    """Equal, or by a star at the end, at the beginning, or alone."""
    return (
        text == pattern
        or (pattern.endswith("*") and text.startswith(pattern[:-1]))
        or (pattern.startswith("*") and text.endswith(pattern[1:]))
    )
