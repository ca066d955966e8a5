"""`envoy.service.auth.v3.Authorization`: policy for Envoy's ext_authz filter."""

from __future__ import annotations

import uuid
from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import count
from typing import Any

from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.service.auth.v3 import external_auth_pb2 as pb

from mizzen.attributes.bag import DictBag
from mizzen.mixer.adapter import QuotaArgs
from mizzen.mixer.httpstatus import body, http_status
from mizzen.mixer.server.envoy.request import quotas, request_attributes
from mizzen.mixer.server.peer import Peer
from mizzen.mixer.server.policy import Policy
from mizzen.mixer.server.refusal import Refusal
from mizzen.mixer.status import Code, Status
from mizzen.mixer.verdict import HeaderAction, HeaderOperation, PolicyError, Verdict

ERROR_CODE = "check.error_code"
ERROR_MESSAGE = "check.error_message"
_ACTIONS = {
    HeaderAction.REPLACE: HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    HeaderAction.APPEND: HeaderValueOption.APPEND_IF_EXISTS_OR_ADD,
}


class Authorization:
    """Envoy's authorization service over one policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._client = uuid.uuid4().hex
        self._calls = count()

    async def check(self, request: pb.CheckRequest, peer: Peer | None = None) -> pb.CheckResponse:
        """May a request go on; raises Refusal where that cannot be told, which Envoy's failure_mode_allow decides.

        A `peer` may speak for itself alone.
        """
        try:
            attributes = request_attributes(request.attributes)
            charged = quotas(request.attributes)
        except ValueError as error:
            message = f"Request could not be processed due to invalid attributes: {error}"
            raise Refusal(Code.INVALID_ARGUMENT, message) from error
        if peer is not None:
            peer.admit(attributes)
        deduplication_id = f"{self._client}{next(self._calls)}"
        try:
            verdict = await self._policy.check(DictBag(attributes), charged, deduplication_id)
        except PolicyError as error:
            raise Refusal(Code.INTERNAL, str(error)) from error
        headers = attributes.get("request.headers", {})
        return answer(verdict, charged, headers if isinstance(headers, Mapping) else {})


def answer(verdict: Verdict, charged: Mapping[str, QuotaArgs], headers: Container[str] = ()) -> pb.CheckResponse:
    """What Envoy is to do with a request that has these headers. All quotas must be granted in full."""
    status = verdict.status
    if status.code is Code.OK:
        status = _quota_status(verdict, charged)
    if status.code is not Code.OK:
        return _denied(status)
    if verdict.direct_response_code:
        return _direct(verdict)
    response = pb.CheckResponse()
    allowed = response.ok_response
    allowed.headers.extend(_request_options(verdict.request_headers, headers))
    allowed.headers_to_remove.extend(
        operation.name.lower() for operation in verdict.request_headers if operation.action is HeaderAction.REMOVE
    )
    allowed.response_headers_to_add.extend(
        _option(operation, append_action=_ACTIONS[operation.action])
        for operation in _additions(verdict.response_headers)
    )
    return response


def _quota_status(verdict: Verdict, charged: Mapping[str, QuotaArgs]) -> Status:
    exhausted = [
        name
        for name, args in charged.items()
        if name in verdict.quotas and verdict.quotas[name].result.amount < args.amount
    ]
    if not exhausted:
        return verdict.status
    return Status(Code.RESOURCE_EXHAUSTED, f"Quota is exhausted for: {','.join(exhausted)}")


def _denied(status: Status) -> pb.CheckResponse:
    response = pb.CheckResponse()
    response.status.code = status.code
    response.status.message = status.message
    response.denied_response.status.code = http_status(status.code)
    response.denied_response.body = body(status)
    # Envoy keeps this as metadata of the request, and so its access log can tell the reason.
    response.dynamic_metadata.update({ERROR_CODE: int(status.code), ERROR_MESSAGE: body(status)})
    return response


def _direct(verdict: Verdict) -> pb.CheckResponse:
    """An answer without the service. To Envoy that is a denial with a body, whatever its HTTP status."""
    response = pb.CheckResponse()
    response.status.code = Code.PERMISSION_DENIED
    denied = response.denied_response
    denied.status.code = verdict.direct_response_code
    denied.body = verdict.direct_response_body
    denied.headers.extend(
        _option(operation, append={"value": operation.action is HeaderAction.APPEND})
        for operation in _additions(verdict.response_headers)
    )
    return response


def _request_options(operations: Iterable[HeaderOperation], headers: Container[str]) -> Iterator[HeaderValueOption]:
    """Of a request, Envoy 1.40 appends only to headers that are there, and only where told in the old way."""
    set_before: set[str] = set()
    for operation in _additions(operations):
        name = operation.name.lower()
        there = name in headers or name in set_before
        yield _option(operation, append={"value": there and operation.action is HeaderAction.APPEND})
        set_before.add(name)


def _additions(operations: Iterable[HeaderOperation]) -> list[HeaderOperation]:
    """Envoy takes removals apart from these, and none at all from responses.

    Of responses it appends before it replaces: a header that one verdict replaces and appends to has the replacement.
    """
    return [operation for operation in operations if operation.action is not HeaderAction.REMOVE]


def _option(operation: HeaderOperation, **how: Any) -> HeaderValueOption:
    option = HeaderValueOption(keep_empty_value=True, **how)
    option.header.key = operation.name.lower()
    option.header.value = operation.value
    return option
