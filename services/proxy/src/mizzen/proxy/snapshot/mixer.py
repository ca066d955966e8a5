"""The configuration of a Mixer client (istio.mixer.v1.config.client) to its plans."""

from __future__ import annotations

from typing import Any, Final

from mizzen.proto import mixer_client_pb2
from mizzen.proxy.engine.match import regex
from mizzen.proxy.engine.mixer_plan import (
    DEFAULT_CLUSTER,
    MixerPlan,
    QuotaClause,
    QuotaRulePlan,
    ServicePlan,
    TcpMixerPlan,
    TransportPlan,
)
from mizzen.proxy.snapshot.mixer_api import api_of
from mizzen.proxy.snapshot.result import Invalid, Notes, at
from mizzen.proxy.snapshot.values import seconds, unpack

HTTP_CONFIG: Final = mixer_client_pb2.HttpClientConfig.DESCRIPTOR.full_name
TCP_CONFIG: Final = mixer_client_pb2.TcpClientConfig.DESCRIPTOR.full_name
SERVICE_CONFIG: Final = mixer_client_pb2.ServiceConfig.DESCRIPTOR.full_name
FILTER: Final = "mixer"
"""Under this name a route configures the filter."""

_MAX_BATCH: Final = 1000
_MIN_REPORT_INTERVAL: Final = 1.0
_SERVICE = (
    "disable_check_calls",
    "disable_report_calls",
    "mixer_attributes",
    "quota_spec",
    "http_api_spec",
    "forward_attributes",
)


def http_filter(packed: Any, notes: Notes, *, inbound: bool) -> MixerPlan:
    """The filter of an HttpConnectionManager; raises Invalid.

    `inbound`: it serves what other proxies of the mesh send. Only those may say in x-istio-attributes who they are.
    """
    message = unpack(packed, mixer_client_pb2.HttpClientConfig)
    services = []
    for name, config in sorted(message.service_configs.items()):
        with at(f"service_configs[{name}]"):
            services.append((name, _service(config, notes)))
    with at("transport"):
        transport = _transport(message.transport, notes)
    return MixerPlan(
        transport=transport,
        attributes=_attributes(message.mixer_attributes),
        forward=_attributes(message.forward_attributes),
        services=tuple(services),
        default_service=message.default_destination_service,
        trusts_peer=inbound and not message.ignore_forwarded_attributes,
    )


def own_service(message: Any, notes: Notes, origin: str) -> ServicePlan | None:
    """What a route or a weighted cluster says to the filter; to others it says nothing that has an effect."""
    configs = message.typed_per_filter_config
    for name in sorted(configs):
        if name != FILTER:
            notes.add(f"{message.DESCRIPTOR.full_name}.typed_per_filter_config[{name}]", origin)
    if FILTER not in configs:
        return None
    with at(f"typed_per_filter_config[{FILTER}]"):
        return _service(unpack(configs[FILTER], mixer_client_pb2.ServiceConfig), notes, origin)


def tcp_filter(packed: Any, notes: Notes) -> TcpMixerPlan:
    """The network filter; raises Invalid."""
    message = unpack(packed, mixer_client_pb2.TcpClientConfig)
    with at("transport"):
        transport = _transport(message.transport, notes)
    with at("connection_quota_spec"):
        quotas = _quota_rules(message.connection_quota_spec)
    service = ServicePlan(
        check=not message.disable_check_calls,
        report=not message.disable_report_calls,
        attributes=_attributes(message.mixer_attributes),
        quotas=quotas,
    )
    interval = max(seconds(message, "report_interval", 10.0), _MIN_REPORT_INTERVAL)
    return TcpMixerPlan(transport, service, interval)


def _transport(message: Any, notes: Notes) -> TransportPlan:
    entries = message.report_batch_max_entries or _MAX_BATCH
    if entries > _MAX_BATCH:
        notes.add(f"{message.DESCRIPTOR.full_name}.report_batch_max_entries")
    policy = message.network_fail_policy
    base, most = seconds(policy, "base_retry_wait", 0.08), seconds(policy, "max_retry_wait", 1.0)
    if base < 0 or most < base:
        raise Invalid("network_fail_policy", f"the waits must be 0 <= base <= max, not {base:g} s and {most:g} s")
    return TransportPlan(
        check_cluster=message.check_cluster or DEFAULT_CLUSTER,
        report_cluster=message.report_cluster or DEFAULT_CLUSTER,
        check_cache=not message.disable_check_cache,
        quota_cache=not message.disable_quota_cache,
        report_batch=not message.disable_report_batch,
        fail_open=policy.policy == mixer_client_pb2.NetworkFailPolicy.FAIL_OPEN,
        max_retry=policy.max_retry,
        base_retry_wait=base,
        max_retry_wait=most,
        batch_entries=min(entries, _MAX_BATCH),
        batch_seconds=seconds(message, "report_batch_max_time", 0.0) or 1.0,
        own_attributes=_attributes(message.attributes_for_mixer_proxy),
    )


def _service(message: Any, notes: Notes, origin: str = "") -> ServicePlan:
    notes.check(message, _SERVICE, origin)
    rules: list[QuotaRulePlan] = []
    for index, spec in enumerate(message.quota_spec):
        with at(f"quota_spec[{index}]"):
            rules.extend(_quota_rules(spec))
    return ServicePlan(
        check=not message.disable_check_calls,
        report=not message.disable_report_calls,
        attributes=_attributes(message.mixer_attributes),
        forward=_attributes(message.forward_attributes),
        quotas=tuple(rules),
        api=api_of(message.http_api_spec),
    )


def _quota_rules(spec: Any) -> tuple[QuotaRulePlan, ...]:
    rules = []
    for index, rule in enumerate(spec.rules):
        with at(f"rules[{index}]"):
            rules.append(_quota_rule(rule))
    return tuple(rules)


def _quota_rule(rule: Any) -> QuotaRulePlan:
    for index, quota in enumerate(rule.quotas):
        if not quota.quota:
            raise Invalid(f"quotas[{index}].quota", "is missing")
        if quota.charge < 0:
            raise Invalid(f"quotas[{index}].charge", f"must not be negative, is {quota.charge}")
    matches = []
    for index, match in enumerate(rule.match):
        with at(f"match[{index}]"):
            matches.append(tuple(_clause(name, test) for name, test in sorted(match.clause.items())))
    return QuotaRulePlan(tuple(matches), tuple((quota.quota, quota.charge) for quota in rule.quotas))


def _clause(name: str, test: Any) -> QuotaClause:
    kind = test.WhichOneof("match_type") or "any"
    value = "" if kind == "any" else str(getattr(test, kind))
    if kind == "regex":
        try:
            regex(value)
        except ValueError as error:
            raise Invalid(f"clause[{name}].regex", str(error)) from error
    return QuotaClause(name, kind, value)


def _attributes(message: Any) -> bytes:
    return bytes(message.SerializeToString(deterministic=True))
