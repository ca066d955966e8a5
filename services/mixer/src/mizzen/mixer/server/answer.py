"""A verdict as the answer to Istio's Check."""

from __future__ import annotations

from mizzen.attributes.compressed import set_duration
from mizzen.attributes.referenced import encode_references
from mizzen.mixer.status import Code
from mizzen.mixer.verdict import Allotment, HeaderOperation, Verdict
from mizzen.proto import mixer_pb2 as pb

_MOST_USES = 2**31 - 1


def answer(verdict: Verdict, global_words: int) -> pb.CheckResponse:
    """For a caller that knows the first `global_words` of the global dictionary."""
    response = pb.CheckResponse()
    precondition = response.precondition
    precondition.status.code = verdict.status.code
    precondition.status.message = verdict.status.message
    set_duration(precondition.valid_duration, verdict.valid_duration)
    precondition.valid_use_count = min(verdict.valid_use_count, _MOST_USES)
    precondition.referenced_attributes.CopyFrom(encode_references(verdict.referenced, global_words))
    _direct(precondition, verdict)
    for name, allotment in verdict.quotas.items():
        _allot(response.quotas[name], allotment, global_words)
    return response


def _direct(precondition: pb.CheckResponse.PreconditionResult, verdict: Verdict) -> None:
    if not (verdict.request_headers or verdict.response_headers or verdict.direct_response_code):
        return
    directive = precondition.route_directive
    directive.request_header_operations.extend(map(_operation, verdict.request_headers))
    directive.response_header_operations.extend(map(_operation, verdict.response_headers))
    directive.direct_response_code = verdict.direct_response_code
    directive.direct_response_body = verdict.direct_response_body


def _operation(operation: HeaderOperation) -> pb.HeaderOperation:
    return pb.HeaderOperation(
        name=operation.name, value=operation.value, operation=pb.HeaderOperation.Operation.Name(operation.action)
    )


def _allot(message: pb.CheckResponse.QuotaResult, allotment: Allotment, global_words: int) -> None:
    result = allotment.result
    message.granted_amount = result.amount
    set_duration(message.valid_duration, result.valid_duration)
    message.referenced_attributes.CopyFrom(encode_references(allotment.referenced, global_words))
    if result.status.code is not Code.OK:
        message.status.code = result.status.code
        message.status.message = result.status.message
