"""The instances that adapters receive, one class for each template of Istio 1.0.

Fields that the configuration leaves out have their zero value. Source: istio/mixer/template at 1.0.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address

from mizzen.attributes.values import Value

NO_TIME = datetime.fromtimestamp(0, UTC)
NO_ADDRESS = IPv4Address(0)


@dataclass(frozen=True, slots=True)
class Instance:
    """What every instance has."""

    name: str  # fully qualified, `requestcount.metric.istio-system`


@dataclass(frozen=True, slots=True)
class ApiKey(Instance):
    """A caller's key to an API (check)."""

    api: str = ""
    api_version: str = ""
    api_operation: str = ""
    api_key: str = ""
    timestamp: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks."""

    user: str = ""
    groups: str = ""
    properties: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Action:
    """What is asked for."""

    namespace: str = ""
    service: str = ""
    method: str = ""
    path: str = ""
    properties: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Authorization(Instance):
    """May the subject do this action (check)."""

    subject: Subject = Subject()
    action: Action = Action()


@dataclass(frozen=True, slots=True)
class CheckNothing(Instance):
    """A check without data."""


@dataclass(frozen=True, slots=True)
class ListEntry(Instance):
    """Is this value on the list (check)."""

    value: Value = ""


@dataclass(frozen=True, slots=True)
class LogEntry(Instance):
    """A line of a log (report)."""

    variables: Mapping[str, Value] = field(default_factory=dict)
    timestamp: datetime = NO_TIME
    severity: str = ""
    monitored_resource_type: str = ""
    monitored_resource_dimensions: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metric(Instance):
    """One observation of a metric (report)."""

    value: Value = 0
    dimensions: Mapping[str, Value] = field(default_factory=dict)
    monitored_resource_type: str = ""
    monitored_resource_dimensions: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Quota(Instance):
    """What an amount is counted by (quota)."""

    dimensions: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReportNothing(Instance):
    """A report without data."""


@dataclass(frozen=True, slots=True)
class TraceSpan(Instance):
    """A span of a trace (report)."""

    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    span_name: str = ""
    start_time: datetime = NO_TIME
    end_time: datetime = NO_TIME
    span_tags: Mapping[str, Value] = field(default_factory=dict)
    http_status_code: int = 0
    client_span: bool = False
    rewrite_client_span_id: bool = False


@dataclass(frozen=True, slots=True)
class Edge(Instance):
    """Who talked to whom (report)."""

    timestamp: datetime = NO_TIME
    source_workload_namespace: str = ""
    source_workload_name: str = ""
    source_owner: str = ""
    source_uid: str = ""
    destination_workload_namespace: str = ""
    destination_workload_name: str = ""
    destination_owner: str = ""
    destination_uid: str = ""
    context_protocol: str = ""
    api_protocol: str = ""


@dataclass(frozen=True, slots=True)
class Kubernetes(Instance):
    """Which pods talk (generates attributes)."""

    source_uid: str = ""
    source_ip: IPv4Address | IPv6Address = NO_ADDRESS
    destination_uid: str = ""
    destination_ip: IPv4Address | IPv6Address = NO_ADDRESS
    destination_port: int = 0
