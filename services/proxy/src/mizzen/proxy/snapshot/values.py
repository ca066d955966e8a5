"""Small readings of messages that several compilers share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from mizzen.proxy.engine.edits import FRAMING, is_name
from mizzen.proxy.engine.formatter import bind_format
from mizzen.proxy.engine.plan import NO_EDITS, HeaderEdits
from mizzen.proxy.snapshot.result import Invalid, Notes, at

_BREAKING_TIME = re.compile(r"%START_TIME\([^)]*%[-_^#0-9]*n")
"""strftime's line break; an access log may have it, a header may not."""

_SERVICE = ("host", "name", "namespace")
ISTIO = "istio"
"""The metadata namespace in which Pilot names the object a resource comes from."""


def seconds(message: Any, field: str, default: float) -> float:
    """A Duration field in seconds; `default` when it is absent."""
    if not message.HasField(field):
        return default
    value = getattr(message, field)
    return float(value.seconds + value.nanos / 1e9)


def wrapped(message: Any, field: str, default: Any) -> Any:
    """The value of a wrapper field (BoolValue, UInt32Value, ...); `default` when it is absent."""
    return getattr(message, field).value if message.HasField(field) else default


def unpack(packed: Any, message_type: Any) -> Any:
    """The message in an Any; raises Invalid when it is another one."""
    message = message_type()
    if not packed.Unpack(message):
        raise Invalid("", f"expected {message_type.DESCRIPTOR.full_name}, got {packed.type_url or 'nothing'}")
    return message


def type_name(packed: Any) -> str:
    """The full message name in an Any."""
    return str(packed.type_url.rpartition("/")[2])


def istio_metadata(metadata: Any, key: str) -> str:
    """A text in Istio's metadata; empty when it is absent."""
    if ISTIO not in metadata.filter_metadata:
        return ""
    fields = metadata.filter_metadata[ISTIO].fields
    return str(fields[key].string_value) if key in fields else ""


def service(metadata: Any) -> tuple[str, str, str]:
    """Host, name and namespace of the first service that Pilot names; empty when there is none."""
    if ISTIO not in metadata.filter_metadata:
        return "", "", ""
    fields = metadata.filter_metadata[ISTIO].fields
    for item in fields["services"].list_value.values if "services" in fields else ():
        found = item.struct_value.fields
        host, name, namespace = (found[key].string_value if key in found else "" for key in _SERVICE)
        return host, name, namespace
    return "", "", ""


def origin(metadata: Any) -> str:
    """The user's object: ".../namespaces/default/virtual-service/reviews" reads "VirtualService default/reviews"."""
    parts = istio_metadata(metadata, "config").split("/")
    if len(parts) < 3:
        return ""
    namespace, kind, name = parts[-3:]
    return f"{''.join(word.capitalize() for word in kind.split('-'))} {namespace}/{name}"


def header_edits(message: Any, side: str, notes: Notes, origin: str = "") -> HeaderEdits:
    """The operations in `<side>_headers_to_add` and `<side>_headers_to_remove`; `side` is request or response."""
    added = getattr(message, f"{side}_headers_to_add")
    removed = getattr(message, f"{side}_headers_to_remove")
    if not added and not removed:
        return NO_EDITS
    overwrite: list[tuple[str, str]] = []
    append: list[tuple[str, str]] = []
    for index, option in enumerate(added):
        with at(f"{side}_headers_to_add[{index}]"):
            _header_option(option, overwrite, append, notes, origin)
    gone: list[str] = []
    for index, name in enumerate(removed):
        with at(f"{side}_headers_to_remove[{index}]"):
            check_editable(name)
        if name.lower() in FRAMING:
            notes.add(f"{message.DESCRIPTOR.full_name}.{side}_headers_to_remove[{name}]", origin)
        else:
            gone.append(name)
    return HeaderEdits(remove=tuple(gone), set=tuple(overwrite), add=tuple(append))


def _header_option(
    option: Any, overwrite: list[tuple[str, str]], append: list[tuple[str, str]], notes: Notes, origin: str
) -> None:
    name, value = option.header.key, option.header.value or option.header.raw_value.decode("latin-1")
    with at("header.key"):
        check_editable(name)
    with at("header.value"):
        check_value(value)
    if not value and not option.keep_empty_value:
        return
    if name.lower() in FRAMING:
        notes.add(f"{option.DESCRIPTOR.full_name}.header.key[{name}]", origin)
        return
    if not _is_known_format(value):
        notes.add(f"{option.DESCRIPTOR.full_name}.header.value[{value}]", origin)
        return
    # APPEND_IF_EXISTS_OR_ADD 0, ADD_IF_ABSENT 1, OVERWRITE_IF_EXISTS_OR_ADD 2, OVERWRITE_IF_EXISTS 3
    action = option.append_action
    if option.HasField("append"):
        action = 0 if option.append.value else 2
    if action == 0:
        append.append((name, value))
    elif action == 2:
        overwrite.append((name, value))
    else:
        notes.add("envoy.config.core.v3.HeaderValueOption.append_action", origin)


def check_editable(name: str) -> None:
    """Raise Invalid unless a header operation may name this header."""
    if name.startswith(":") or name.lower() == "host":
        raise Invalid("", f"{name} may not be changed by a header operation; use host_rewrite_literal for the host")
    if not is_name(name):
        raise Invalid("", f"{name!r} is not a header name")


def check_value(value: str) -> None:
    """Raise Invalid for what would split a head."""
    if any(char in value for char in "\r\n\0") or _BREAKING_TIME.search(value):
        raise Invalid("", "a header value may not contain line breaks or NUL")


def one_line(message: Any, field: str) -> str:
    """A text field that becomes part of a header; raises Invalid for what would split a head."""
    text = str(getattr(message, field))
    with at(field):
        check_value(text)
    return text


def one_word(message: Any, field: str) -> str:
    """A text field that becomes part of a request line or of Host; raises Invalid for blanks and line breaks."""
    text = one_line(message, field)
    if " " in text or "\t" in text:
        raise Invalid(field, f"{text!r} may not contain blanks")
    return text


def _is_known_format(value: str) -> bool:
    """Whether all %OPERATORS% are ones that this proxy evaluates."""
    try:
        bind_format(value)
    except ValueError:
        return False
    return True


def first_duplicate(names: Iterable[str]) -> str | None:
    """The first name that comes a second time."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
