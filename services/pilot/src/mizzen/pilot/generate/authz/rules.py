"""A rule of an AuthorizationPolicy as a policy of Envoy's RBAC."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from envoy.config.rbac.v3 import rbac_pb2

from mizzen.api.security import AuthorizationRule, Operation, Source
from mizzen.pilot.generate.authz.conditions import (
    Conditions,
    Where,
    is_http_only,
    is_permission,
    permission,
    principals,
)

_SOURCE: Final = (
    ("principals", "source.principal"),
    ("request_principals", "request.auth.principal"),
    ("namespaces", "source.namespace"),
    ("service_accounts", "source.serviceAccount"),
    ("trust_domains", "source.trustDomain"),
    ("ip_blocks", "source.ip"),
    ("remote_ip_blocks", "remote.ip"),
)
_OPERATION: Final = (
    ("hosts", "hosts"),
    ("methods", "methods"),
    ("paths", "paths"),
    ("ports", "destination.port"),
)
ANY_PERMISSION: Final = rbac_pb2.Permission(any=True)
ANY_PRINCIPAL: Final = rbac_pb2.Principal(any=True)


def policy_of(rule: AuthorizationRule, where: Where, *, for_tcp: bool, allows: bool) -> Any | None:
    """Envoy's policy, or None when the rule can match no TCP connection.

    On TCP a condition that only HTTP has cannot be evaluated. Where the rule allows, it then matches nothing; where it
    denies, the condition is left out: in doubt the answer is no.
    """
    conditions = [Conditions(each.key, each.values, each.not_values) for each in rule.when]
    about_what = [each for each in conditions if is_permission(each.key)]
    about_whom = [each for each in conditions if not is_permission(each.key)]
    targets = [_fields(item.operation, _OPERATION) for item in rule.to or () if item.operation] or [[]]
    origins = [_fields(item.source, _SOURCE) for item in rule.from_ or () if item.source] or [[]]
    if for_tcp:
        if allows and any(is_http_only(one.key) for each in (conditions, *targets, *origins) for one in each):
            return None
        about_what, about_whom = _for_tcp(about_what), _for_tcp(about_whom)
        targets, origins = list(map(_for_tcp, targets)), list(map(_for_tcp, origins))
    return rbac_pb2.Policy(
        permissions=[_permission([*each, *about_what]) for each in targets],
        principals=[_principal([*each, *about_whom], where) for each in origins],
    )


def _for_tcp(conditions: Iterable[Conditions]) -> list[Conditions]:
    return [each for each in conditions if not is_http_only(each.key)]


def _fields(holder: Source | Operation, fields: Sequence[tuple[str, str]]) -> list[Conditions]:
    found = [Conditions(key, getattr(holder, name), getattr(holder, f"not_{name}")) for name, key in fields]
    return [each for each in found if each.values or each.not_values]


def _permission(conditions: Sequence[Conditions]) -> Any:
    """All conditions."""
    needed = []
    for key, values, not_values in conditions:
        if values:
            needed.append(_one_permission([permission(key, value) for value in values]))
        if not_values:
            none_of = _one_permission([permission(key, value) for value in not_values])
            needed.append(rbac_pb2.Permission(not_rule=none_of))
    if not needed:
        return ANY_PERMISSION
    return rbac_pb2.Permission(and_rules=rbac_pb2.Permission.Set(rules=needed))


def _principal(conditions: Sequence[Conditions], where: Where) -> Any:
    """All conditions."""
    needed = []
    for key, values, not_values in conditions:
        if values:
            needed.append(_one_principal([each for value in values for each in principals(key, value, where)]))
        if not_values:
            none_of = _one_principal([each for value in not_values for each in principals(key, value, where)])
            needed.append(rbac_pb2.Principal(not_id=none_of))
    if not needed:
        return ANY_PRINCIPAL
    return rbac_pb2.Principal(and_ids=rbac_pb2.Principal.Set(ids=needed))


def _one_permission(alternatives: Sequence[Any]) -> Any:
    return rbac_pb2.Permission(or_rules=rbac_pb2.Permission.Set(rules=alternatives))


def _one_principal(alternatives: Sequence[Any]) -> Any:
    return rbac_pb2.Principal(or_ids=rbac_pb2.Principal.Set(ids=alternatives))
