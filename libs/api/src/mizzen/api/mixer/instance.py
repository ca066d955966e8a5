"""Instances: expressions for the fields of a template, in the forms of Istio 1.0 and 1.1."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from mizzen.api.mixer.expression import Expression
from mizzen.api.types import Model

Expressions = dict[str, Expression]


class ApiKey(Model):
    """A caller's key to an API."""

    api: Expression = ""
    api_version: Expression = ""
    api_operation: Expression = ""
    api_key: Expression = ""
    timestamp: Expression = ""


class Subject(Model):
    """Who asks."""

    user: Expression = ""
    groups: Expression = ""
    properties: Expressions = Field(default_factory=dict)


class Action(Model):
    """What is asked for."""

    namespace: Expression = ""
    service: Expression = ""
    method: Expression = ""
    path: Expression = ""
    properties: Expressions = Field(default_factory=dict)


class Authorization(Model):
    """May the subject do this action."""

    subject: Subject = Subject()
    action: Action = Action()


class CheckNothing(Model):
    """A check without data."""


class Edge(Model):
    """Who talked to whom."""

    timestamp: Expression = ""
    source_workload_namespace: Expression = ""
    source_workload_name: Expression = ""
    source_owner: Expression = ""
    source_uid: Expression = ""
    destination_workload_namespace: Expression = ""
    destination_workload_name: Expression = ""
    destination_owner: Expression = ""
    destination_uid: Expression = ""
    context_protocol: Expression = ""
    api_protocol: Expression = ""


class Kubernetes(Model):
    """Which pods talk. Bindings give attributes from what is found, `$out.` and a field of the answer."""

    source_uid: Expression = ""
    source_ip: Expression = ""
    destination_uid: Expression = ""
    destination_ip: Expression = ""
    destination_port: Expression = ""
    attribute_bindings: Expressions = Field(default_factory=dict)


class ListEntry(Model):
    """Is this value on the list."""

    value: Expression = ""


class LogEntry(Model):
    """A line of a log."""

    variables: Expressions = Field(default_factory=dict)
    timestamp: Expression = ""
    severity: Expression = ""
    monitored_resource_type: Expression = ""
    monitored_resource_dimensions: Expressions = Field(default_factory=dict)


class Metric(Model):
    """One observation of a metric."""

    value: Expression = ""
    dimensions: Expressions = Field(default_factory=dict)
    monitored_resource_type: Expression = ""
    monitored_resource_dimensions: Expressions = Field(default_factory=dict)


class Quota(Model):
    """What an amount is counted by."""

    dimensions: Expressions = Field(default_factory=dict)


class ReportNothing(Model):
    """A report without data."""


class TraceSpan(Model):
    """A span of a trace."""

    trace_id: Expression = ""
    span_id: Expression = ""
    parent_span_id: Expression = ""
    span_name: Expression = ""
    start_time: Expression = ""
    end_time: Expression = ""
    span_tags: Expressions = Field(default_factory=dict)
    http_status_code: Expression = ""
    client_span: Expression = ""
    rewrite_client_span_id: Expression = ""


TEMPLATES: Mapping[str, type[Model]] = {
    "apikey": ApiKey,
    "authorization": Authorization,
    "checknothing": CheckNothing,
    "edge": Edge,
    "kubernetes": Kubernetes,
    "listentry": ListEntry,
    "logentry": LogEntry,
    "metric": Metric,
    "quota": Quota,
    "reportnothing": ReportNothing,
    "tracespan": TraceSpan,
}
"""The templates by name, which is also the kind of their instances in Istio 1.0."""


class Instance(Model):
    """`kind: instance`: parameters of a template, by its name (compiledTemplate) or by reference (template)."""

    name: str = ""
    compiled_template: str = ""
    template: str = ""
    params: dict[str, Any] = Field(default_factory=dict)
    attribute_bindings: Expressions = Field(default_factory=dict)
