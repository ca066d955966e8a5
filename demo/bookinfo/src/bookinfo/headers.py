"""The headers that a service hands on, so that a trace and a user stay together across calls."""

from __future__ import annotations

from collections.abc import Mapping

FORWARDED = (
    "x-request-id",
    # B3, as Zipkin and Istio's default tracing send it
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "b3",
    # W3C trace context
    "traceparent",
    "tracestate",
    # vendors
    "x-ot-span-context",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "x-cloud-trace-context",
    "grpc-trace-bin",
    # who asks
    "end-user",
    "user-agent",
    "authorization",
    "cookie",
    "jwt",
)


def forwarded(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of an incoming request that go into the calls it causes."""
    return {name: headers[name] for name in FORWARDED if name in headers}
