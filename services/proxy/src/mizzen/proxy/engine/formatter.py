"""Envoy's substitution formats (`%REQ(:METHOD)%`), bound into pieces that read a record.

Used by access logs and by header values. Texts pass through as UTF-8 with surrogate escapes, so that header bytes that
are not UTF-8 come out as they came in.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

import re2

from mizzen.proxy.engine.match import header_reader
from mizzen.proxy.engine.request import Record
from mizzen.proxy.engine.tls_formats import TLS_OPERATORS

Value: TypeAlias = str | int | None
"""What an operator yields; None when there is nothing to say."""
Operator: TypeAlias = Callable[[Record], Value]
Formatter: TypeAlias = tuple[str | Operator, ...]
"""A bound format: literal texts and operators in order."""

_OPERATOR = re2.compile(r"%([A-Z0-9_]+)(?:\((.*?)\))?(?::([0-9]+))?%")
_DEFAULT_TIME = "%Y-%m-%dT%H:%M:%S.%3fZ"


def bind_format(text: str, hostname: str = "") -> Formatter:
    """Bind a format; `hostname` is the value of %HOSTNAME%. ValueError names what is not known."""
    pieces: list[str | Operator] = []
    literal = ""
    at = 0
    while (mark := text.find("%", at)) >= 0:
        literal += text[at:mark]
        if text.startswith("%%", mark):
            literal += "%"
            at = mark + 2
            continue
        found = _OPERATOR.match(text, mark)
        if found is None:
            raise ValueError(f"format {text!r}: no operator at {text[mark : mark + 30]!r}")
        if literal:
            pieces.append(literal)
            literal = ""
        pieces.append(_bind_operator(found[1], found[2], found[3], hostname))
        at = found.end()
    literal += text[at:]
    if literal:
        pieces.append(literal)
    return tuple(pieces)


def constant(text: str) -> str | None:
    """The text a format always yields; None when it reads the record."""
    if "%" not in text:
        return text
    pieces = bind_format(text)
    if not all(isinstance(piece, str) for piece in pieces):
        return None
    return "".join(str(piece) for piece in pieces)


def to_text(formatter: Formatter, record: Record, missing: str) -> str:
    """The whole format as text, with `missing` in place of what is not known."""
    parts = []
    for piece in formatter:
        value = piece if isinstance(piece, str) else piece(record)
        parts.append(missing if value is None else str(value))
    return "".join(parts)


def _bind_operator(name: str, argument: str | None, limit: str | None, hostname: str) -> Operator:
    size = int(limit) if limit else None
    if name in _HEADERS:
        if not argument:
            raise ValueError(f"operator %{name}% needs a header name")
        return _truncate(_HEADERS[name](argument), size)
    if name == "START_TIME":
        return start_time(argument or _DEFAULT_TIME)
    if name == "HOSTNAME":
        return lambda record: hostname or None
    operator = _PLAIN.get(name) or TLS_OPERATORS.get(name)
    if operator is None or argument is not None:
        raise ValueError(f"unknown operator %{name}{'' if argument is None else f'({argument})'}%")
    return _truncate(operator, size)


def _truncate(operator: Operator, size: int | None) -> Operator:
    if size is None:
        return operator

    def cut(record: Record) -> Value:
        value = operator(record)
        return value[:size] if isinstance(value, str) else value

    return cut


# -- headers --------------------------------------------------------------------------------------------------------


def _decode(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "surrogateescape")


def _request_header(argument: str) -> Operator:
    main, _, other = argument.partition("?")
    readers = [header_reader(name.lower()) for name in (main, other) if name]

    def read(record: Record) -> Value:
        request = record.request
        if request is None:
            return None
        for reader in readers:
            value = reader(request)
            if value is not None:
                return _decode(value)
        return None

    return read


def _other_header(lookup: str) -> Callable[[str], Operator]:
    def bind(argument: str) -> Operator:
        names = [name.lower().encode() for name in argument.split("?", 1) if name]

        def read(record: Record) -> Value:
            get = getattr(record, lookup)
            for name in names:
                value = get(name)
                if value is not None:
                    return _decode(value)
            return None

        return read

    return bind


_HEADERS: dict[str, Callable[[str], Operator]] = {
    "REQ": _request_header,
    "RESP": _other_header("response_header"),
    "TRAILER": _other_header("response_trailer"),
}


# -- time -----------------------------------------------------------------------------------------------------------

_SUBSECOND = re2.compile(r"%([1-9]?)f|%E([1-9])S|%s|%.")


def start_time(pattern: str) -> Operator:
    """%START_TIME(pattern)% in UTC: strftime, `%f` with 1 to 9 digits (`%3f`), `%E3S` seconds, `%s` Unix seconds."""
    pieces: list[tuple[str, int]] = []  # (strftime text, digits of the fraction that follows)
    text = ""
    at = 0
    for found in _SUBSECOND.finditer(pattern):
        text += pattern[at : found.start()]
        at = found.end()
        token = found[0]
        if token.endswith("f"):
            pieces.append((text, int(found[1] or 9)))
            text = ""
        elif token.startswith("%E"):
            pieces.append((text + "%S.", int(found[2])))
            text = ""
        else:
            text += token
    pieces.append((text + pattern[at:], 0))
    return _clock_reader(pieces)


def _clock_reader(pieces: list[tuple[str, int]]) -> Operator:
    """Whole seconds are rendered once and remembered until the second changes."""
    known_second = -1
    known: list[str] = []

    def read(record: Record) -> Value:
        nonlocal known_second, known
        micros = int(record.start_time * 1e6 + 0.5)
        second, micros = divmod(micros, 1_000_000)
        if second != known_second:
            when = datetime.fromtimestamp(second, UTC)
            known = [when.strftime(text.replace("%s", str(second))) for text, _ in pieces]
            known_second = second
        fraction = f"{micros:06d}000"
        return "".join(text + fraction[:digits] for text, (_, digits) in zip(known, pieces, strict=True))

    return read


# -- plain operators ------------------------------------------------------------------------------------------------


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def _host(address: str) -> str | None:
    """Without port; an IPv6 address loses its brackets."""
    return address.rpartition(":")[0].strip("[]") or None


def _port(address: str) -> int | None:
    port = address.rpartition(":")[2]
    return int(port) if port.isdigit() else None


def _response_tx(record: Record) -> Value:
    end, first = record.duration, record.response_duration
    return None if end is None or first is None else _milliseconds(end - first)


_PLAIN: dict[str, Operator] = {
    "PROTOCOL": lambda record: record.protocol or None,
    "RESPONSE_CODE": lambda record: record.status,
    "RESPONSE_FLAGS": lambda record: record.flags or "-",
    "RESPONSE_CODE_DETAILS": lambda record: record.details or None,
    "CONNECTION_TERMINATION_DETAILS": lambda record: record.connection_termination_details or None,
    "BYTES_RECEIVED": lambda record: record.bytes_received,
    "BYTES_SENT": lambda record: record.bytes_sent,
    "DURATION": lambda record: _milliseconds(record.duration),
    "REQUEST_DURATION": lambda record: _milliseconds(record.request_duration),
    "RESPONSE_DURATION": lambda record: _milliseconds(record.response_duration),
    "RESPONSE_TX_DURATION": _response_tx,
    "UPSTREAM_HOST": lambda record: record.upstream_host or None,
    "UPSTREAM_REMOTE_ADDRESS": lambda record: record.upstream_host or None,
    "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": lambda record: _host(record.upstream_host),
    "UPSTREAM_REMOTE_PORT": lambda record: _port(record.upstream_host),
    "UPSTREAM_LOCAL_ADDRESS": lambda record: record.upstream_local_address or None,
    "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT": lambda record: _host(record.upstream_local_address),
    "UPSTREAM_LOCAL_PORT": lambda record: _port(record.upstream_local_address),
    "UPSTREAM_CLUSTER": lambda record: record.upstream_cluster or None,
    "UPSTREAM_CLUSTER_RAW": lambda record: record.upstream_cluster or None,
    "UPSTREAM_TRANSPORT_FAILURE_REASON": lambda record: record.upstream_transport_failure_reason or None,
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": lambda record: record.attempts,
    "DOWNSTREAM_LOCAL_ADDRESS": lambda record: record.downstream_local_address or None,
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT": lambda record: _host(record.downstream_local_address),
    "DOWNSTREAM_LOCAL_PORT": lambda record: _port(record.downstream_local_address),
    "DOWNSTREAM_REMOTE_ADDRESS": lambda record: record.downstream_remote_address or None,
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": lambda record: _host(record.downstream_remote_address),
    "DOWNSTREAM_REMOTE_PORT": lambda record: _port(record.downstream_remote_address),
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS": lambda record: record.downstream_direct_remote_address or None,
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT": lambda record: _host(record.downstream_direct_remote_address),
    "DOWNSTREAM_DIRECT_REMOTE_PORT": lambda record: _port(record.downstream_direct_remote_address),
    "REQUESTED_SERVER_NAME": lambda record: record.server_name or None,
    "ROUTE_NAME": lambda record: record.route_name or None,
    "CONNECTION_ID": lambda record: record.connection_id,
}
