"""AuthorizationPolicy: what conditions may say, and for which actions."""

import re
from collections.abc import Iterator
from typing import Final

from mizzen.api import syntax
from mizzen.api.problem import Path
from mizzen.api.resource import Metadata
from mizzen.api.rules import Finding, error, warning
from mizzen.api.rules.policy import check_path_template, check_scope, is_path_template
from mizzen.api.security import (
    AuthorizationAction,
    AuthorizationPolicy,
    AuthorizationRule,
    Condition,
    Operation,
    Source,
)

DRY_RUN: Final = "istio.io/dry-run"
PLAIN_KEYS: Final = (
    "source.ip", "remote.ip", "source.namespace", "source.principal", "source.serviceAccount", "source.trustDomain",
    "request.auth.principal", "request.auth.audiences", "request.auth.presenter", "destination.ip",
    "destination.port", "connection.sni",
)  # fmt: skip
KEYS_WITH_NAME: Final = re.compile(
    r"request\.headers\[[^\[\]]+\]|request\.auth\.claims(?:\[[^\[\]]+\])+|experimental\.envoy\.filters\.[^\[\]]+\[[^\[\]]+\]"
)
HTTP_KEYS: Final = "request."
"""How keys begin that only HTTP has."""
_IDENTITY_KEYS: Final = (
    "source.namespace", "source.principal", "source.serviceAccount", "source.trustDomain", "request.auth."
)  # fmt: skip
_IDENTITY_FIELDS: Final = ("principals", "request_principals", "namespaces", "service_accounts", "trust_domains")
"""What an authorizer outside is asked about itself, and so cannot be a condition for asking it."""
_HTTP_SOURCE: Final = ("request_principals", "not_request_principals")
_HTTP_OPERATION: Final = ("hosts", "not_hosts", "methods", "not_methods", "paths", "not_paths")


def check(spec: AuthorizationPolicy, metadata: Metadata) -> Iterator[Finding]:
    """All rules of an AuthorizationPolicy."""
    references = spec.target_refs or ((spec.target_ref,) if spec.target_ref else ())
    yield from check_scope(spec.selector, references, "targetRefs" if spec.target_refs else "targetRef")
    is_custom = spec.action is AuthorizationAction.CUSTOM
    if is_custom and (spec.provider is None or not spec.provider.name):
        yield error(("provider", "name"), "is required with action CUSTOM")
    if not is_custom and spec.provider is not None:
        yield error(("provider",), f"goes with action CUSTOM, not {spec.action}")
    if not spec.rules and spec.action in (AuthorizationAction.CUSTOM, AuthorizationAction.DENY):
        yield error(("rules",), f"action {spec.action} needs at least one rule; `- {{}}` matches everything")
    yield from _check_dry_run(spec, metadata)
    for index, rule in enumerate(spec.rules or ()):
        at: Path = ("rules", index)
        yield from _check_rule(rule, at)
        if is_custom:
            yield from _check_custom(rule, at)
        if spec.action is AuthorizationAction.DENY and _is_broad_on_tcp(rule):
            yield warning(
                at, "denies every connection to ports of plain TCP, if there are any; name ports to spare them"
            )


def _check_dry_run(spec: AuthorizationPolicy, metadata: Metadata) -> Iterator[Finding]:
    stated = metadata.annotations.get(DRY_RUN)
    if stated is None:
        return
    if stated not in ("true", "false"):
        yield error((), f"the annotation {DRY_RUN} must be true or false, got {stated!r}")
    elif spec.action not in (AuthorizationAction.ALLOW, AuthorizationAction.DENY):
        yield error(("action",), f"{spec.action} cannot be tried with the annotation {DRY_RUN}: ALLOW and DENY can")


def _check_rule(rule: AuthorizationRule, at: Path) -> Iterator[Finding]:
    for field, alternatives in (("from", rule.from_), ("to", rule.to)):
        if alternatives is not None and not alternatives:
            yield error((*at, field), "has no alternatives; leave it out to match everything")
    for index, origin in enumerate(rule.from_ or ()):
        place: Path = (*at, "from", index, "source")
        if origin.source is None or not origin.source.model_fields_set:
            yield error(place, "has no conditions")
        else:
            yield from _check_source(origin.source, place)
    for index, target in enumerate(rule.to or ()):
        place = (*at, "to", index, "operation")
        if target.operation is None or not target.operation.model_fields_set:
            yield error(place, "has no conditions")
        else:
            yield from _check_operation(target.operation, place)
    for index, condition in enumerate(rule.when):
        yield from _check_condition(condition, (*at, "when", index))


def _check_source(source: Source, at: Path) -> Iterator[Finding]:
    yield from _check_values(source, at)
    for name in ("ip_blocks", "not_ip_blocks", "remote_ip_blocks", "not_remote_ip_blocks"):
        yield from _check_subnets(getattr(source, name), (*at, _alias(source, name)))
    if source.service_accounts or source.not_service_accounts:
        for name in ("principals", "not_principals", "namespaces", "not_namespaces"):
            if getattr(source, name):
                yield error((*at, _alias(source, name)), "cannot stand beside service accounts: they say it already")
    for name in ("service_accounts", "not_service_accounts"):
        for index, account in enumerate(getattr(source, name)):
            if "*" in account or account.count("/") > 1:
                yield error((*at, _alias(source, name), index), f"{account!r} is not of the form [namespace/]name")


def _check_operation(operation: Operation, at: Path) -> Iterator[Finding]:
    yield from _check_values(operation, at)
    for name in ("ports", "not_ports"):
        yield from _check_ports(getattr(operation, name), (*at, _alias(operation, name)))
    for name in ("paths", "not_paths"):
        for index, path in enumerate(getattr(operation, name)):
            if is_path_template(path):
                yield from check_path_template(path, (*at, _alias(operation, name), index))


def _check_condition(condition: Condition, at: Path) -> Iterator[Finding]:
    key = condition.key
    if key not in PLAIN_KEYS and not KEYS_WITH_NAME.fullmatch(key):
        known = ", ".join((*PLAIN_KEYS, "request.headers[NAME]", "request.auth.claims[NAME]"))
        yield error((*at, "key"), f"{key!r} is unknown; these are known: {known}")
    if not condition.values and not condition.not_values:
        yield error(at, "needs values or notValues")
    for name, values in (("values", condition.values), ("notValues", condition.not_values)):
        place: Path = (*at, name)
        if key in ("source.ip", "remote.ip", "destination.ip"):
            yield from _check_subnets(values, place)
        elif key == "destination.port":
            yield from _check_ports(values, place)


def _check_values(holder: Source | Operation, at: Path) -> Iterator[Finding]:
    """No empty list that was written down, and no empty value: neither means what it seems to."""
    for name in sorted(holder.model_fields_set):
        values = getattr(holder, name)
        if not values:
            yield error((*at, _alias(holder, name)), "has no values; leave it out")
        for index, value in enumerate(values):
            if not value:
                yield error((*at, _alias(holder, name), index), "must not be empty")


def _check_subnets(values: tuple[str, ...], at: Path) -> Iterator[Finding]:
    for index, value in enumerate(values):
        try:
            syntax.check_subnet(value)
        except ValueError as problem:
            yield error((*at, index), str(problem))


def _check_ports(values: tuple[str, ...], at: Path) -> Iterator[Finding]:
    for index, value in enumerate(values):
        if not value.isascii() or not value.isdecimal() or not 1 <= int(value) <= 65535:
            yield error((*at, index), f"must be a port from 1 to 65535, got {value!r}")


def _check_custom(rule: AuthorizationRule, at: Path) -> Iterator[Finding]:
    reason = "cannot be a condition of action CUSTOM: who asks is what the provider is to find out"
    for index, origin in enumerate(rule.from_ or ()):
        for name in sorted(origin.source.model_fields_set if origin.source else ()):
            if name.removeprefix("not_") in _IDENTITY_FIELDS:
                yield error((*at, "from", index, "source", _alias(Source(), name)), reason)
    for index, condition in enumerate(rule.when):
        if condition.key.startswith(_IDENTITY_KEYS):
            yield error((*at, "when", index, "key"), f"{condition.key} {reason}")


def _is_broad_on_tcp(rule: AuthorizationRule) -> bool:
    """Whether the rule has conditions that only HTTP has, and no port: on TCP those conditions are left out."""
    sources = [origin.source for origin in rule.from_ or () if origin.source]
    operations = [target.operation for target in rule.to or () if target.operation]
    has_http = (
        any(getattr(source, name) for source in sources for name in _HTTP_SOURCE)
        or any(getattr(operation, name) for operation in operations for name in _HTTP_OPERATION)
        or any(condition.key.startswith(HTTP_KEYS) for condition in rule.when)
    )
    has_port = any(operation.ports or operation.not_ports for operation in operations) or any(
        condition.key == "destination.port" for condition in rule.when
    )
    return has_http and not has_port


def _alias(holder: Source | Operation, name: str) -> str:
    return type(holder).model_fields[name].alias or name
