"""The filters of a workload: who asks an authorizer; then audit, deny and allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from envoy.config.listener.v3 import listener_components_pb2
from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_pb2

from mizzen.api.resource import Resource
from mizzen.api.rules.authorizationpolicy import DRY_RUN
from mizzen.api.security import AuthorizationAction, AuthorizationPolicy
from mizzen.pilot.generate.authz import extauthz
from mizzen.pilot.generate.authz.conditions import Where
from mizzen.pilot.generate.authz.extauthz import Authorizer, Unusable
from mizzen.pilot.generate.authz.rules import policy_of
from mizzen.pilot.generate.protos import pack

HTTP_FILTER: Final = "envoy.filters.http.rbac"
NETWORK_FILTER: Final = "envoy.filters.network.rbac"
TCP_PREFIX: Final = "tcp."
DENY: Final = rbac_pb2.RBAC.Action.DENY
NOBODY_TO_ASK: Final = "-deny-due-to-bad-CUSTOM-action"
"""How rules end that deny because of their provider."""
_ACTIONS: Final = {
    AuthorizationAction.AUDIT: rbac_pb2.RBAC.Action.LOG,
    AuthorizationAction.DENY: DENY,
    AuthorizationAction.ALLOW: rbac_pb2.RBAC.Action.ALLOW,
}
"""In the order in which they are asked."""
DRY_RUN_PREFIX: Final = {
    AuthorizationAction.ALLOW: "istio_dry_run_allow_",
    AuthorizationAction.DENY: "istio_dry_run_deny_",
}


class Guards(NamedTuple):
    """Serialized filters, so that what they are part of can be compared at a glance."""

    custom: tuple[bytes, ...] = ()
    """HTTP filters that come before all others, also before tokens are read."""
    http: tuple[bytes, ...] = ()
    tcp: tuple[bytes, ...] = ()


class Setting(NamedTuple):
    """What of the mesh decides what policies mean."""

    trust_domains: tuple[str, ...]
    """The mesh's own first, then its aliases."""
    authorizers: Mapping[str, Authorizer | Unusable] = MappingProxyType({})
    """By the name of the provider."""


Policies = Sequence[Resource[AuthorizationPolicy]]


def guards_of(policies: Policies, setting: Setting) -> Guards:
    """The filters of a workload with these policies."""
    if not policies:
        return Guards()
    return Guards(
        *(
            tuple(each.SerializeToString(deterministic=True) for each in filters(policies, setting))
            for filters in (custom_filters, http_filters, network_filters)
        )
    )


def custom_filters(policies: Policies, setting: Setting) -> list[Any]:
    """Filters of an HTTP connection manager that ask an authorizer."""
    custom = _custom(policies, setting)
    if custom is None:
        return []
    made = [hcm_pb2.HttpFilter(name=HTTP_FILTER, typed_config=pack(http_pb2.RBAC(**_questions(custom, setting))))]
    if isinstance(custom.authorizer, Authorizer):
        asks = extauthz.http_filter(custom.authorizer, HTTP_FILTER)
        made.append(hcm_pb2.HttpFilter(name=extauthz.HTTP_FILTER, typed_config=pack(asks)))
    return made


def http_filters(policies: Policies, setting: Setting) -> list[Any]:
    """Filters of an HTTP connection manager that decide themselves."""
    return [
        hcm_pb2.HttpFilter(name=HTTP_FILTER, typed_config=pack(http_pb2.RBAC(**fields)))
        for fields in _configs(policies, setting, for_tcp=False)
    ]


def network_filters(policies: Policies, setting: Setting) -> list[Any]:
    """Filters of a TCP filter chain."""
    made = [_network_rbac(fields) for fields in _configs(policies, setting, for_tcp=True)]
    custom = _custom(policies, setting)
    if custom is None:
        return made
    questions = _network_rbac(_questions(custom, setting, for_tcp=True))
    if not isinstance(custom.authorizer, Authorizer):
        return [questions, *made]
    asks = extauthz.network_filter(custom.authorizer, NETWORK_FILTER)
    if asks is None:
        return made
    asking = listener_components_pb2.Filter(name=extauthz.NETWORK_FILTER, typed_config=pack(asks))
    return [questions, asking, *made]


def _network_rbac(fields: dict[str, Any]) -> Any:
    return listener_components_pb2.Filter(
        name=NETWORK_FILTER, typed_config=pack(network_pb2.RBAC(**fields, stat_prefix=TCP_PREFIX))
    )


class Custom(NamedTuple):
    """The policies of a workload with action CUSTOM, and who is asked."""

    policies: Policies
    authorizer: Authorizer | Unusable


def _custom(policies: Policies, setting: Setting) -> Custom | None:
    custom = [policy for policy in policies if policy.spec.action is AuthorizationAction.CUSTOM]
    if not custom:
        return None
    names = {policy.spec.provider.name if policy.spec.provider else "" for policy in custom}
    if len(names) > 1:
        return Custom(custom, Unusable(f"a workload can ask one provider only, and its policies name {sorted(names)}"))
    (name,) = names
    missing = Unusable(f"the mesh config has no extensionProvider {name!r} that can be asked")
    return Custom(custom, setting.authorizers.get(name, missing))


def _questions(custom: Custom, setting: Setting, *, for_tcp: bool = False) -> dict[str, Any]:
    """Which requests the authorizer is asked about; without one that can be asked, they are refused."""
    if isinstance(custom.authorizer, Unusable):
        rules = _rules(custom.policies, DENY, setting, for_tcp=for_tcp, suffix=NOBODY_TO_ASK)
        return {"rules": rules}
    rules = _rules(custom.policies, DENY, setting, for_tcp=for_tcp, prefix=f"{extauthz.RULE_PREFIX}-")
    return {"shadow_rules": rules, "shadow_rules_stat_prefix": extauthz.STAT_PREFIX}


def _configs(policies: Policies, setting: Setting, *, for_tcp: bool) -> Iterable[dict[str, Any]]:
    """The fields of each filter. Rules that are only tried go as shadow rules of the same filter."""
    for action, code in _ACTIONS.items():
        fields: dict[str, Any] = {}
        enforced = [p for p in policies if p.spec.action is action and not _is_tried(p)]
        if enforced:
            fields["rules"] = _rules(enforced, code, setting, for_tcp=for_tcp)
        tried = [p for p in policies if p.spec.action is action and _is_tried(p)]
        if tried:
            fields["shadow_rules"] = _rules(tried, code, setting, for_tcp=for_tcp)
            fields["shadow_rules_stat_prefix"] = DRY_RUN_PREFIX[action]
        if fields:
            yield fields


def _is_tried(policy: Resource[AuthorizationPolicy]) -> bool:
    return policy.metadata.annotations.get(DRY_RUN) == "true"


def _rules(
    policies: Policies, action: int, setting: Setting, *, for_tcp: bool, prefix: str = "", suffix: str = ""
) -> Any:
    rules = rbac_pb2.RBAC(action=action)
    allows = action == rbac_pb2.RBAC.Action.ALLOW
    for policy in policies:
        where = Where(policy.metadata.namespace, setting.trust_domains)
        for index, rule in enumerate(policy.spec.rules or ()):
            made = policy_of(rule, where, for_tcp=for_tcp, allows=allows)
            if made is not None:
                name = f"ns[{policy.metadata.namespace}]-policy[{policy.metadata.name}]-rule[{index}]"
                rules.policies[f"{prefix}{name}{suffix}"].CopyFrom(made)
    return rules
