"""Access log formats: one function from a record to the bytes of one log entry."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final, TypeAlias

from mizzen.proxy.engine.formatter import Formatter, Value, bind_format, to_text
from mizzen.proxy.engine.plan import AccessLogPlan
from mizzen.proxy.engine.request import Record

Entry: TypeAlias = Callable[[Record], bytes]

ISTIO_TEXT: Final = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% '
    '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% '
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
"""Istio's default text format; an empty AccessLogPlan means this one."""


def bind_log(plan: AccessLogPlan, hostname: str) -> Entry:
    """A function from a record to a whole entry; `hostname` is %HOSTNAME%. ValueError names an unknown operator."""
    if plan.json:
        return _bind_json(plan.json, hostname)
    return _bind_text(plan.text or ISTIO_TEXT, hostname)


def _bind_text(text: str, hostname: str) -> Entry:
    """What is not known reads `-`. The format brings its own newline."""
    formatter = bind_format(text, hostname)
    return lambda record: to_text(formatter, record, "-").encode("utf-8", "surrogateescape")


def _bind_json(pairs: tuple[tuple[str, str], ...], hostname: str) -> Entry:
    """One object and a newline. A value of a single operator keeps its type (number, string, null)."""
    fields = tuple((key, bind_format(text, hostname)) for key, text in pairs)
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

    def entry(record: Record) -> bytes:
        values = {key: _json_value(formatter, record) for key, formatter in fields}
        try:
            return (encode(values) + "\n").encode()
        except UnicodeEncodeError:  # header bytes that are not UTF-8
            return (encode({key: _bytewise(value) for key, value in values.items()}) + "\n").encode()

    return entry


def _json_value(formatter: Formatter, record: Record) -> Value:
    if len(formatter) == 1 and not isinstance(formatter[0], str):
        return formatter[0](record)
    return to_text(formatter, record, "-")


def _bytewise(value: Value) -> Value:
    """A text with bytes that are not UTF-8 shows every byte as one character, as in Envoy; others stay."""
    if not isinstance(value, str):
        return value
    raw = value.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
