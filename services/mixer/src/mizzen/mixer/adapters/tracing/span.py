"""Spans as tracing systems want them. Source: mixer/pkg/.../opencensus and template/tracespan of Istio 1.0 and 1.1."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mizzen.mixer.adapters.text import text_of
from mizzen.mixer.templates import TraceSpan

_TRACE_ID = re.compile(r"[0-9a-f]{1,32}")
_SPAN_ID = re.compile(r"[0-9a-f]{1,16}")
_EPOCH = datetime.fromtimestamp(0, UTC)
_NAMES = ("workload.name", "service.name", "service", "app", "name")
_NO_PARENT = "0" * 16


@dataclass(frozen=True, slots=True)
class Span:
    """A span. Ids are hex: 32 digits for the trace, 16 for spans; `parent_id` is empty for a root. Times in µs."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    service: str
    is_client: bool
    is_shared: bool  # with a client span of the same id, as Zipkin's own instrumentation has it
    start: int
    end: int
    status: int  # HTTP's; 0 when there is none
    tags: Mapping[str, str]


def span_of(instance: TraceSpan) -> Span:
    """Check and complete what a rule made; raises ValueError for ids that are not hex."""
    trace_id = _id(_TRACE_ID, instance.trace_id, "trace", instance.name).zfill(32)
    span_id = _id(_SPAN_ID, instance.span_id or trace_id[16:], "span", instance.name).zfill(16)
    parent_id = _id(_SPAN_ID, instance.parent_span_id or "0", "parent span", instance.name).zfill(16)
    shared = instance.rewrite_client_span_id
    if shared and instance.client_span:
        span_id = rewritten(span_id)
    elif shared:
        parent_id = rewritten(span_id)
    tags = {name: text_of(value) for name, value in instance.span_tags.items()}
    side = "source" if instance.client_span else "destination"
    start, end = _micros(instance.start_time), _micros(instance.end_time)
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_id="" if parent_id == _NO_PARENT else parent_id,
        name=instance.span_name,
        service=next((tags[key] for name in _NAMES if tags.get(key := f"{side}.{name}")), "unknown"),
        is_client=instance.client_span,
        is_shared=not instance.client_span and not shared,
        start=start,
        end=max(start, end),
        status=instance.http_status_code,
        tags=tags,
    )


def rewritten(span_id: str) -> str:
    """The id of a client span of its own, for systems in which client and server do not share one."""
    return hashlib.sha256(span_id.encode()).hexdigest()[:16]


def is_sampled(span: Span, probability: float) -> bool:
    """Whether a trace is kept: the same for all its spans, wherever they are decided upon."""
    return int(span.trace_id[16:], 16) >> 1 < probability * 2**63


def _id(pattern: re.Pattern[str], text: str, what: str, instance: str) -> str:
    folded = text.lower()
    if not pattern.fullmatch(folded):
        raise ValueError(f"{instance}: the {what} id must be hexadecimal, got {text!r}")
    return folded


def _micros(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)
