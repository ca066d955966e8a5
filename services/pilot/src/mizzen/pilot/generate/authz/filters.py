"""The RBAC filters of a workload: audit, then deny, then allow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from envoy.config.listener.v3 import listener_components_pb2
from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_pb2

from mizzen.api.resource import Resource
from mizzen.api.rules.authorizationpolicy import DRY_RUN
from mizzen.api.security import AuthorizationAction, AuthorizationPolicy
from mizzen.pilot.base.labels import Labels, labels
from mizzen.pilot.generate.authz.conditions import Where
from mizzen.pilot.generate.authz.rules import policy_of
from mizzen.pilot.generate.protos import pack

HTTP_FILTER: Final = "envoy.filters.http.rbac"
NETWORK_FILTER: Final = "envoy.filters.network.rbac"
TCP_PREFIX: Final = "tcp."
_ACTIONS: Final = {
    AuthorizationAction.AUDIT: rbac_pb2.RBAC.Action.LOG,
    AuthorizationAction.DENY: rbac_pb2.RBAC.Action.DENY,
    AuthorizationAction.ALLOW: rbac_pb2.RBAC.Action.ALLOW,
}
"""In the order in which they are asked."""
DRY_RUN_PREFIX: Final = {
    AuthorizationAction.ALLOW: "istio_dry_run_allow_",
    AuthorizationAction.DENY: "istio_dry_run_deny_",
}


class Guards(NamedTuple):
    """Serialized filters, so that what they are part of can be compared at a glance."""

    http: tuple[bytes, ...] = ()
    tcp: tuple[bytes, ...] = ()


Policies = Sequence[Resource[AuthorizationPolicy]]


def policies_for(policies: Iterable[Resource[AuthorizationPolicy]], namespace: str, own: Labels, root: str) -> Policies:
    """Those for a workload: of its namespace and of the root namespace, with a selector that fits or none."""
    return [
        policy
        for policy in policies
        if policy.metadata.namespace in (namespace, root)
        and not policy.spec.target_ref
        and not policy.spec.target_refs
        and (policy.spec.selector is None or labels(policy.spec.selector.match_labels) <= own)
    ]


def guards_of(policies: Policies, trust_domains: tuple[str, ...]) -> Guards:
    """The filters of a workload with these policies."""
    if not policies:
        return Guards()
    return Guards(
        tuple(each.SerializeToString(deterministic=True) for each in http_filters(policies, trust_domains)),
        tuple(each.SerializeToString(deterministic=True) for each in network_filters(policies, trust_domains)),
    )


def http_filters(policies: Policies, trust_domains: tuple[str, ...]) -> list[Any]:
    """Filters of an HTTP connection manager."""
    return [
        hcm_pb2.HttpFilter(name=HTTP_FILTER, typed_config=pack(http_pb2.RBAC(**fields)))
        for fields in _configs(policies, trust_domains, for_tcp=False)
    ]


def network_filters(policies: Policies, trust_domains: tuple[str, ...]) -> list[Any]:
    """Filters of a TCP filter chain."""
    return [
        listener_components_pb2.Filter(
            name=NETWORK_FILTER, typed_config=pack(network_pb2.RBAC(**fields, stat_prefix=TCP_PREFIX))
        )
        for fields in _configs(policies, trust_domains, for_tcp=True)
    ]


def _configs(policies: Policies, trust_domains: tuple[str, ...], *, for_tcp: bool) -> Iterable[dict[str, Any]]:
    """The fields of each filter. Rules that are only tried go as shadow rules of the same filter."""
    for action, code in _ACTIONS.items():
        fields: dict[str, Any] = {}
        enforced = [p for p in policies if _effect(p) is action and not _is_tried(p)]
        if enforced:
            fields["rules"] = _rules(enforced, code, trust_domains, for_tcp=for_tcp)
        tried = [p for p in policies if _effect(p) is action and _is_tried(p)]
        if tried:
            fields["shadow_rules"] = _rules(tried, code, trust_domains, for_tcp=for_tcp)
            fields["shadow_rules_stat_prefix"] = DRY_RUN_PREFIX[action]
        if fields:
            yield fields


def _effect(policy: Resource[AuthorizationPolicy]) -> AuthorizationAction:
    """CUSTOM denies what it matches: there is no provider that could be asked, and Istio then lets nobody in."""
    action = policy.spec.action
    return AuthorizationAction.DENY if action is AuthorizationAction.CUSTOM else action


def _is_tried(policy: Resource[AuthorizationPolicy]) -> bool:
    return policy.metadata.annotations.get(DRY_RUN) == "true"


def _rules(policies: Policies, action: int, trust_domains: tuple[str, ...], *, for_tcp: bool) -> Any:
    rules = rbac_pb2.RBAC(action=action)
    allows = action == rbac_pb2.RBAC.Action.ALLOW
    for policy in policies:
        where = Where(policy.metadata.namespace, trust_domains)
        for index, rule in enumerate(policy.spec.rules or ()):
            made = policy_of(rule, where, for_tcp=for_tcp, allows=allows)
            if made is not None:
                name = f"ns[{policy.metadata.namespace}]-policy[{policy.metadata.name}]-rule[{index}]"
                rules.policies[name].CopyFrom(made)
    return rules
