"""The gRPC service of each template: its path, and its messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from mizzen.mixer import templates
from mizzen.proto import (
    adapter_apikey_pb2,
    adapter_authorization_pb2,
    adapter_checknothing_pb2,
    adapter_edge_pb2,
    adapter_kubernetes_pb2,
    adapter_listentry_pb2,
    adapter_logentry_pb2,
    adapter_metric_pb2,
    adapter_model_pb2,
    adapter_quota_pb2,
    adapter_reportnothing_pb2,
    adapter_tracespan_pb2,
)


@dataclass(frozen=True, slots=True)
class Service:
    """How instances of one template are sent."""

    template: str
    path: str
    request: type[Any]  # with instance or instances, adapter_config and dedup_id
    response: type[Any]
    types: type[Message]


def _service(template: str, kind: type[templates.Instance], module: Any, response: type[Message]) -> Service:
    name = f"Handle{kind.__name__}"
    path = f"/{module.DESCRIPTOR.package}.{name}Service/{name}"
    return Service(template, path, getattr(module, f"{name}Request"), response, module.Type)


_CHECK, _REPORT = adapter_model_pb2.CheckResult, adapter_model_pb2.ReportResult
_ALL = (
    ("apikey", templates.ApiKey, adapter_apikey_pb2, _CHECK),
    ("authorization", templates.Authorization, adapter_authorization_pb2, _CHECK),
    ("checknothing", templates.CheckNothing, adapter_checknothing_pb2, _CHECK),
    ("edge", templates.Edge, adapter_edge_pb2, _REPORT),
    ("kubernetes", templates.Kubernetes, adapter_kubernetes_pb2, adapter_kubernetes_pb2.OutputMsg),
    ("listentry", templates.ListEntry, adapter_listentry_pb2, _CHECK),
    ("logentry", templates.LogEntry, adapter_logentry_pb2, _REPORT),
    ("metric", templates.Metric, adapter_metric_pb2, _REPORT),
    ("quota", templates.Quota, adapter_quota_pb2, adapter_model_pb2.QuotaResult),
    ("reportnothing", templates.ReportNothing, adapter_reportnothing_pb2, _REPORT),
    ("tracespan", templates.TraceSpan, adapter_tracespan_pb2, _REPORT),
)
SERVICES: Mapping[type[templates.Instance], Service] = {kind: _service(t, kind, m, r) for t, kind, m, r in _ALL}
BY_TEMPLATE: Mapping[str, Service] = {service.template: service for service in SERVICES.values()}
