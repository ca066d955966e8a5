"""AccessLog to AccessLogPlan."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from envoy.extensions.access_loggers.file.v3 import file_pb2

from mizzen.proxy.base import flags
from mizzen.proxy.engine.accesslog import bind_log
from mizzen.proxy.engine.plan import AccessLogPlan
from mizzen.proxy.snapshot.result import Invalid, Notes, at
from mizzen.proxy.snapshot.values import type_name, unpack

_FILE = "envoy.extensions.access_loggers.file.v3.FileAccessLog"


def access_logs(messages: Iterable[Any], notes: Notes) -> tuple[AccessLogPlan, ...]:
    """Compile the file logs; others, and filtered ones, are reported as having no effect. Raises Invalid."""
    plans = []
    for index, message in enumerate(messages):
        if message.HasField("filter"):
            notes.add(f"{message.DESCRIPTOR.full_name}.filter")
        else:
            plans += _file_logs(message, index, notes)
    return tuple(plans)


def access_logs_of_refused(messages: Iterable[Any], notes: Notes) -> tuple[AccessLogPlan, ...]:
    """The same for a listener's own logs, of which only those have an effect that ask for unmatched connections."""
    plans = []
    for index, message in enumerate(messages):
        if tuple(message.filter.response_flag_filter.flags) == (flags.NO_ROUTE_FOUND,):
            plans += _file_logs(message, index, notes)
        else:
            notes.add("envoy.config.listener.v3.Listener.access_log")
    return tuple(plans)


def _file_logs(message: Any, index: int, notes: Notes) -> list[AccessLogPlan]:
    with at(f"access_log[{index}]"):
        if type_name(message.typed_config) == _FILE:
            return [_file_log(unpack(message.typed_config, file_pb2.FileAccessLog))]
        notes.add(f"{message.DESCRIPTOR.full_name}.typed_config[{type_name(message.typed_config)}]")
        return []


def _file_log(message: Any) -> AccessLogPlan:
    if not message.path:
        raise Invalid("path", "is missing")
    text, json = _format(message)
    plan = AccessLogPlan(message.path, text, json)
    try:
        bind_log(plan, "")
    except ValueError as error:
        raise Invalid("log_format", str(error)) from None
    return plan


def _format(message: Any) -> tuple[str, tuple[tuple[str, str], ...]]:
    kind = message.WhichOneof("access_log_format")
    if kind == "format":
        return message.format, ()
    if kind == "json_format":
        return "", _pairs(message.json_format)
    if kind == "log_format":
        inner = message.log_format.WhichOneof("format")
        if inner == "json_format":
            return "", _pairs(message.log_format.json_format)
        if inner == "text_format":
            return message.log_format.text_format, ()
        if inner == "text_format_source":
            return message.log_format.text_format_source.inline_string, ()
    if kind is None:
        return "", ()
    raise Invalid(kind, "only text and json formats are supported")


def _pairs(struct: Any) -> tuple[tuple[str, str], ...]:
    """Sorted by key, as Envoy writes them."""
    for key, value in struct.fields.items():
        if value.WhichOneof("kind") != "string_value":
            raise Invalid(f"json_format.{key}", "only flat objects of strings are supported")
    return tuple(sorted((key, value.string_value) for key, value in struct.fields.items()))
