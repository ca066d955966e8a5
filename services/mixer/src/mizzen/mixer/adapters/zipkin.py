"""zipkin: spans to Zipkin, or to whatever takes Zipkin's v2 JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import ClassVar

from mizzen.mixer.adapter import Environment, Handler
from mizzen.mixer.adapters.params import read
from mizzen.mixer.adapters.tracing.exporter import SpanExporter, Target
from mizzen.mixer.adapters.tracing.params import Params
from mizzen.mixer.adapters.tracing.span import Span


def encode(spans: Sequence[Span]) -> str:
    """A list of spans, version 2 of Zipkin's API."""
    return json.dumps([_span(span) for span in spans])


def _span(span: Span) -> dict[str, object]:
    message: dict[str, object] = {
        "traceId": span.trace_id,
        "id": span.span_id,
        "name": span.name,
        "kind": "CLIENT" if span.is_client else "SERVER",
        "timestamp": span.start,
        "duration": max(span.end - span.start, 1),  # 0 would mean that it is not known
        "localEndpoint": {"serviceName": span.service},
        "tags": dict(span.tags),
    }
    if span.parent_id:
        message["parentId"] = span.parent_id
    if span.is_shared:
        message["shared"] = True
    if span.status >= 500:
        message["tags"] = {"error": str(span.status), **span.tags}
    return message


class Zipkin:
    """Builds handlers that post to Zipkin."""

    name: ClassVar[str] = "zipkin"
    templates: ClassVar[frozenset[str]] = frozenset({"tracespan"})

    async def build(self, params: Mapping[str, object], environment: Environment) -> Handler:
        known = read(Params, params)
        return SpanExporter(environment.name, Target(known.url, known.sample_probability, encode), known.limits)


ADAPTER = Zipkin()
