"""Header operations."""

from __future__ import annotations

import re
from typing import Any

from envoy.config.core.v3 import base_pb2

from mizzen.api.virtualservice import HeaderOperations, Headers

_HOST = frozenset({"host", ":authority"})
_OPERATOR = re.compile(r"(%%|%[A-Z][A-Z0-9_]*(?:\([^)]*\))?(?::[0-9]+)?%)|%")
"""What Envoy substitutes in a value (or an escaped percent sign), else a lone percent sign."""


def apply(message: Any, headers: Headers | None) -> None:
    """Put the operations on a route, virtual host or weighted cluster; these name the fields alike."""
    if headers is None:
        return
    if headers.request is not None:
        message.request_headers_to_add.extend(_added(headers.request))
        message.request_headers_to_remove.extend(_removed(headers.request))
    if headers.response is not None:
        message.response_headers_to_add.extend(_added(headers.response))
        message.response_headers_to_remove.extend(_removed(headers.response))


def authority(headers: Headers | None) -> str:
    """The host that operations on the request ask for; not an ordinary header, so it is rewritten instead."""
    if headers is None or headers.request is None:
        return ""
    for operations in (headers.request.set, headers.request.add):
        for name, value in operations.items():
            if name.lower() in _HOST:
                return value
    return ""


def _added(operations: HeaderOperations) -> list[Any]:
    action = base_pb2.HeaderValueOption.HeaderAppendAction
    found = []
    for values, how in (
        (operations.set, action.OVERWRITE_IF_EXISTS_OR_ADD),
        (operations.add, action.APPEND_IF_EXISTS_OR_ADD),
    ):
        for name, value in sorted(values.items()):
            if _is_ordinary(name):
                header = base_pb2.HeaderValue(key=name, value=_literal(value))
                found.append(base_pb2.HeaderValueOption(header=header, append_action=how))
    return found


def _literal(value: str) -> str:
    """The value with lone percent signs escaped: Envoy would refuse the whole route configuration for one."""
    return _OPERATOR.sub(lambda match: match[1] or "%%", value)


def _removed(operations: HeaderOperations) -> list[str]:
    return sorted(name for name in operations.remove if _is_ordinary(name))


def _is_ordinary(name: str) -> bool:
    return not name.startswith(":") and name.lower() != "host"
