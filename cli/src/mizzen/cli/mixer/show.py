"""Answers of Mixer as text and as plain values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.rpc import code_pb2

from mizzen.attributes.words import word_table
from mizzen.proto import mixer_pb2 as pb


def is_allowed(response: pb.CheckResponse, asked: dict[str, int]) -> bool:
    """Whether a request may go on: the status is OK, and every quota is granted in full."""
    granted = all(response.quotas[name].granted_amount >= amount for name, amount in asked.items())
    return response.precondition.status.code == code_pb2.OK and granted


def check_lines(response: pb.CheckResponse) -> Iterator[str]:
    """As mixc prints it."""
    precondition = response.precondition
    yield f"Check RPC completed successfully. Check status was {status_text(precondition.status)}"
    yield f"  Valid use count: {precondition.valid_use_count}, valid duration: {_seconds(precondition.valid_duration)}"
    yield from _reference_lines(precondition.referenced_attributes, "  ")
    directive = MessageToDict(precondition.route_directive)
    if directive:
        yield f"  Route directive: {directive}"
    for name, quota in sorted(response.quotas.items()):
        duration = _seconds(quota.valid_duration)
        yield f"  Quota {name}: granted amount {quota.granted_amount}, valid duration: {duration}"
        yield from _reference_lines(quota.referenced_attributes, "    ")


def check_data(response: pb.CheckResponse) -> dict[str, Any]:
    """The same for programs."""
    precondition = response.precondition
    return {
        "status": {"code": code_name(precondition.status.code), "message": precondition.status.message},
        "validUseCount": precondition.valid_use_count,
        "validDuration": _seconds(precondition.valid_duration),
        "referencedAttributes": list(references(precondition.referenced_attributes)),
        "routeDirective": MessageToDict(precondition.route_directive),
        "quotas": {
            name: {
                "grantedAmount": quota.granted_amount,
                "validDuration": _seconds(quota.valid_duration),
                "referencedAttributes": list(references(quota.referenced_attributes)),
            }
            for name, quota in sorted(response.quotas.items())
        },
    }


def status_text(status: Any) -> str:
    """`OK`, or `PERMISSION_DENIED (denyall.denier.istio-system:Not allowed)`."""
    name = code_name(status.code)
    return f"{name} ({status.message})" if status.message else name


def code_name(code: int) -> str:
    """The name of a status code; a number that has none stays one."""
    return code_pb2.Code.Name(code) if code in code_pb2.Code.values() else str(code)


def references(message: pb.ReferencedAttributes) -> Iterator[str]:
    """`name CONDITION`, of a map `name::key CONDITION`, in the order of names."""
    words = word_table(word.encode() for word in message.words)
    found = []
    for match in message.attribute_matches:
        name = words.get(match.name, f"word {match.name}")
        key = f"::{words.get(match.map_key, f'word {match.map_key}')}" if match.map_key else ""
        found.append(f"{name}{key} {pb.ReferencedAttributes.Condition.Name(match.condition)}")
    yield from sorted(found)


def _reference_lines(message: pb.ReferencedAttributes, indent: str) -> Iterator[str]:
    lines = list(references(message))
    if lines:
        yield f"{indent}Referenced attributes:"
        yield from (f"{indent}  {line}" for line in lines)


def _seconds(duration: Any) -> str:
    return f"{duration.seconds + duration.nanos / 1e9:g}s"
