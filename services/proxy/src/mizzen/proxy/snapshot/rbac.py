"""Envoy's RBAC filters to plans. What cannot be evaluated is refused: a guard with a hole is none."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any, Final, Literal

from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac_pb2
from envoy.extensions.path.match.uri_template.v3 import uri_template_match_pb2

from mizzen.proxy.engine.rbac_plan import (
    AllOf,
    AnyOf,
    Anything,
    Authenticated,
    Header,
    LocalPort,
    Metadata,
    Network,
    Not,
    PathTemplate,
    PolicyPlan,
    RbacPlan,
    Rule,
    ServerName,
    UrlPath,
)
from mizzen.proxy.snapshot.matchers import NotEvaluable, header_match, metadata_match, string_match
from mizzen.proxy.snapshot.result import Invalid, at
from mizzen.proxy.snapshot.values import unpack, wrapped

_ACTIONS: Final[tuple[Literal["ALLOW", "DENY", "LOG"], ...]] = ("ALLOW", "DENY", "LOG")
_ENDS: Final[dict[str, Literal["peer", "client", "local"]]] = {
    "source_ip": "peer",
    "direct_remote_ip": "peer",
    "remote_ip": "client",
    "destination_ip": "local",
}


def rbac_filter(message: Any) -> tuple[RbacPlan, ...]:
    """The filter's rules, then its shadow rules, of HTTP or TCP; raises Invalid."""
    plans = []
    if message.HasField("rules"):
        with at("rules"):
            plans.append(_plan(message.rules, is_shadow=False, prefix=_prefix(message)))
    if message.HasField("shadow_rules"):
        with at("shadow_rules"):
            plans.append(_plan(message.shadow_rules, is_shadow=True, prefix=message.shadow_rules_stat_prefix))
    for field in ("matcher", "shadow_matcher"):
        if message.HasField(field):
            raise Invalid(field, "is not supported, and without it everyone would get in")
    return tuple(plans)


def _prefix(message: Any) -> str:
    """Of the statistics of `rules`, whose field has another name in the filter of TCP."""
    prefix: str = message.stat_prefix if isinstance(message, network_rbac_pb2.RBAC) else message.rules_stat_prefix
    return prefix


def _plan(message: Any, *, is_shadow: bool, prefix: str) -> RbacPlan:
    policies = []
    for name in sorted(message.policies):
        with at(f"policies[{name}]"):
            policies.append(PolicyPlan(name, _policy(message.policies[name])))
    if message.action >= len(_ACTIONS):
        raise Invalid("action", f"{message.action} is unknown")
    return RbacPlan(_ACTIONS[message.action], tuple(policies), is_shadow, prefix)


def _policy(message: Any) -> Rule:
    for field in ("condition", "checked_condition"):
        if message.HasField(field):
            raise Invalid(field, "is not supported")
    try:
        permissions = _each(message.permissions, "permissions")
        principals = _each(message.principals, "principals")
    except NotEvaluable as error:
        raise Invalid("", f"{error} is not supported") from None
    return AllOf((AnyOf(permissions), AnyOf(principals)))


def _each(messages: Any, field: str) -> tuple[Rule, ...]:
    """At least one, as Envoy demands: of none, all would hold."""
    if not messages:
        raise Invalid(field, "is empty")
    rules = []
    for index, message in enumerate(messages):
        with at(f"{field}[{index}]"):
            rules.append(_rule(message))
    return tuple(rules)


def _rule(message: Any) -> Rule:
    """A Permission or a Principal: their fields mean the same where both have them."""
    kind = (
        message.WhichOneof("rule") if "rule" in message.DESCRIPTOR.oneofs_by_name else message.WhichOneof("identifier")
    )
    if kind is None:
        raise Invalid("", "says nothing")
    value = getattr(message, kind)
    with at(kind):
        match kind:
            case "any":
                return Anything() if value else Not(Anything())
            case "and_rules" | "and_ids":
                return AllOf(_members(value))
            case "or_rules" | "or_ids":
                return AnyOf(_members(value))
            case "not_rule" | "not_id":
                return Not(_rule(value))
            case "header":
                return Header(header_match(value))
            case "url_path":
                return UrlPath(string_match(value.path))
            case "uri_template":
                return PathTemplate(
                    unpack(value.typed_config, uri_template_match_pb2.UriTemplateMatchConfig).path_template
                )
            case "destination_port":
                return LocalPort(value, value)
            case "destination_port_range":
                return LocalPort(value.start, value.end - 1)  # Envoy's end is not included
            case "requested_server_name":
                return ServerName(string_match(value))
            case "authenticated":
                named = value.HasField("principal_name")
                return Authenticated(string_match(value.principal_name) if named else None)
            case "metadata":
                return Metadata(metadata_match(value))
            case _ if kind in _ENDS:
                return _network(kind, value)
    raise NotEvaluable(f"{message.DESCRIPTOR.full_name}.{kind}")


def _members(message: Any) -> tuple[Rule, ...]:
    if "rules" in message.DESCRIPTOR.fields_by_name:
        return _each(message.rules, "rules")
    return _each(message.ids, "ids")


def _network(kind: str, message: Any) -> Network:
    block = f"{message.address_prefix}/{wrapped(message, 'prefix_len', 0)}"
    try:
        ip_network(block, strict=False)
    except ValueError as error:
        raise Invalid("", str(error)) from None
    return Network(_ENDS[kind], block)
