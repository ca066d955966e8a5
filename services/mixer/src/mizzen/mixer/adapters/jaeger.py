"""jaeger: spans to Jaeger, or to any OpenTelemetry collector, by OTLP over HTTP in JSON.

Jaeger's own Thrift and UDP formats are on their way out; every Jaeger since 1.35 takes OTLP on port 4318.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import ClassVar

from mizzen.mixer.adapter import Environment, Handler
from mizzen.mixer.adapters.params import read
from mizzen.mixer.adapters.tracing.exporter import SpanExporter, Target
from mizzen.mixer.adapters.tracing.params import Params
from mizzen.mixer.adapters.tracing.span import Span

_SERVER, _CLIENT = 2, 3  # Span.SpanKind
_ERROR = 2  # Status.StatusCode


def encode(spans: Sequence[Span]) -> str:
    """An ExportTraceServiceRequest, with a resource for each service."""
    by_service: dict[str, list[Span]] = {}
    for span in spans:
        by_service.setdefault(span.service, []).append(span)
    return json.dumps({"resourceSpans": [_resource(service, same) for service, same in by_service.items()]})


def _resource(service: str, spans: Sequence[Span]) -> dict[str, object]:
    return {
        "resource": {"attributes": _attributes({"service.name": service})},
        "scopeSpans": [{"scope": {"name": "mizzen.mixer"}, "spans": [_span(span) for span in spans]}],
    }


def _span(span: Span) -> dict[str, object]:
    message: dict[str, object] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent_id,
        "name": span.name,
        "kind": _CLIENT if span.is_client else _SERVER,
        "startTimeUnixNano": str(span.start * 1000),
        "endTimeUnixNano": str(span.end * 1000),
        "attributes": _attributes(span.tags),
    }
    if span.status:
        message["attributes"] = [
            *_attributes(span.tags),
            {"key": "http.response.status_code", "value": {"intValue": str(span.status)}},
        ]
    if span.status >= 500:
        message["status"] = {"code": _ERROR, "message": f"HTTP {span.status}"}
    return message


def _attributes(tags: Mapping[str, str]) -> list[dict[str, object]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in tags.items()]


class Jaeger:
    """Builds handlers that post to Jaeger."""

    name: ClassVar[str] = "jaeger"
    templates: ClassVar[frozenset[str]] = frozenset({"tracespan"})

    async def build(self, params: Mapping[str, object], environment: Environment) -> Handler:
        known = read(Params, params)
        return SpanExporter(environment.name, Target(known.url, known.sample_probability, encode), known.limits)


ADAPTER = Jaeger()
