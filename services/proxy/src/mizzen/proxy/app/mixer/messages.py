"""Questions and decisions as messages of `istio.mixer.v1`."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from mizzen.attributes.bag import References
from mizzen.attributes.compressed import encode
from mizzen.attributes.errors import InvalidAttributes
from mizzen.attributes.referenced import decode_references
from mizzen.proto.mixer_pb2 import CheckRequest, CheckResponse, ReferencedAttributes
from mizzen.proxy.app.mixer.contract import (
    CHANGES,
    INVALID_ARGUMENT,
    CallFailed,
    Decision,
    Grant,
    Question,
    direct_code,
)
from mizzen.proxy.engine.control import CheckAnswer, HeaderChange

FOREVER: Final = 1e9
"""Seconds for which a result holds when Mixer does not say."""


def write_request(question: Question, words: int) -> CheckRequest:
    """For a server that knows so many words of the global dictionary; raises CallFailed for what has no form there."""
    try:
        attributes = encode(question.bag.values, words)
    except InvalidAttributes as error:
        raise CallFailed(INVALID_ARGUMENT, str(error)) from error
    request = CheckRequest(attributes=attributes, global_word_count=words)
    request.deduplication_id = question.deduplication_id
    for name, amount in question.quotas.items():
        request.quotas[name].amount = amount
        request.quotas[name].best_effort = question.best_effort
    return request


def read_response(response: CheckResponse) -> Decision:
    """What a server says."""
    grants = {
        name: Grant(result.granted_amount, _seconds(result, 0.0), _references(result.referenced_attributes))
        for name, result in response.quotas.items()
    }
    return Decision(_read_answer(response), grants)


def _read_answer(response: CheckResponse) -> CheckAnswer:
    if not response.HasField("precondition"):
        return CheckAnswer(0, INVALID_ARGUMENT, "Mixer's response has no precondition")
    result = response.precondition
    directive = result.route_directive
    references = _references(result.referenced_attributes)
    return CheckAnswer(
        serial=0,
        code=result.status.code,
        message=result.status.message,
        references=None if references is None else frozenset(references),
        valid_for=_seconds(result, FOREVER),
        uses=result.valid_use_count,
        request_changes=_changes(directive.request_header_operations),
        response_changes=_changes(directive.response_header_operations),
        direct_code=direct_code(directive.direct_response_code),
        direct_body=directive.direct_response_body,
    )


def _references(message: ReferencedAttributes) -> References | None:
    try:
        return decode_references(message)
    except InvalidAttributes:
        return None


def _changes(operations: Any) -> tuple[HeaderChange, ...]:
    return tuple((CHANGES[item.operation], item.name, item.value) for item in operations if item.operation in CHANGES)


def _seconds(result: Any, unsaid: float) -> float:
    if not result.HasField("valid_duration"):
        return unsaid
    duration: Duration = result.valid_duration
    return duration.seconds + duration.nanos / 1e9
