"""Questions over gRPC: `envoy.service.auth.v3.Authorization/Check`.

An authorizer of the mesh is asked in mutual TLS, as its cluster says, like every other service.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import external_auth_pb2

from mizzen.proxy.app.extauthz.contract import PARTIAL_BODY, NoVerdict, is_shown, lines
from mizzen.proxy.app.extauthz.links import Link, Links, Way
from mizzen.proxy.app.extauthz.peers import Peers
from mizzen.proxy.engine.control import HeaderChange, InquiredRequest, Inquiry, InquiryAnswer
from mizzen.proxy.engine.ext_authz_plan import ExtAuthzPlan, GrpcCall
from mizzen.proxy.io.tls_contexts import NoSecret
from mizzen.runtime.address import Address

_CHECK: Final = "/envoy.service.auth.v3.Authorization/Check"
_FORBIDDEN: Final = 403
_LARGEST: Final = 2**63 - 1
"""Of the bytes that a question can state; HTTP has twice as many."""
_APPENDS: Final = base_pb2.HeaderValueOption.HeaderAppendAction.APPEND_IF_EXISTS_OR_ADD


class GrpcCalls:
    """Links with authorizers."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._links = Links()

    async def ask(self, inquiry: Inquiry, call: GrpcCall) -> InquiryAnswer:
        """One attempt, for whose time the caller cares. NoVerdict."""
        try:
            link = await self._link(call)
        except LookupError as error:
            self._links.keep(call.cluster, ())
            raise NoVerdict(str(error.args[0])) from error
        except (OSError, NoSecret) as error:
            raise NoVerdict(str(error) or type(error).__name__) from error
        method = link.channel.unary_unary(
            _CHECK,
            request_serializer=external_auth_pb2.CheckRequest.SerializeToString,
            response_deserializer=external_auth_pb2.CheckResponse.FromString,
        )
        try:
            response = await method(check_request(inquiry))
        except grpc.aio.AioRpcError as error:
            raise NoVerdict(_reason(error, link)) from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise NoVerdict("its connection was ended before it had answered") from error  # as gRPC's client says it
        return answer_of(inquiry.serial, response)

    async def close(self) -> None:
        """End the links."""
        await self._links.close()

    async def _link(self, call: GrpcCall) -> Link:
        """Raises LookupError, NoSecret, OSError."""
        cluster, endpoints = self._peers.endpoints(call.cluster)
        self._links.keep(call.cluster, (Address(each.address, each.port) for each in endpoints))
        authority = call.authority or call.cluster.replace("|", "_.")
        peer = self._peers.peer(cluster, self._peers.choose(endpoints), authority.encode(), "h2")
        return await self._links.find(Way(call.cluster, authority, peer.address), peer, cluster.connect_timeout)


def _reason(error: grpc.aio.AioRpcError, link: Link) -> str:
    """The relay's word where it has one: what gRPC's client knows ends there."""
    code = error.code().name
    if error.code() is grpc.StatusCode.UNAVAILABLE and link.relay.failure:
        return f"{code}: {link.relay.failure}"
    return f"{code}: {error.details() or 'without details'}"


def check_request(inquiry: Inquiry) -> Any:
    """The question as Envoy asks it."""
    message = external_auth_pb2.CheckRequest()
    attributes = message.attributes
    for peer, address, principal in (
        (attributes.source, inquiry.source, inquiry.principal),
        (attributes.destination, inquiry.destination, inquiry.own),
    ):
        host, _, port = address.rpartition(":")
        peer.address.socket_address.address = host.strip("[]")
        peer.address.socket_address.port_value = int(port or 0)
        peer.principal = principal
    if inquiry.server_name:
        attributes.tls_session.sni = inquiry.server_name
    if inquiry.request is not None:
        attributes.request.time.FromNanoseconds(int(inquiry.started * 1e9))
        _fill(attributes.request.http, inquiry.request, inquiry.plan)
    return message


def _fill(http: Any, request: InquiredRequest, plan: ExtAuthzPlan) -> None:
    http.method, http.path = request.method.decode("latin-1"), request.path.decode("latin-1")
    http.host, http.scheme = request.authority.decode("latin-1"), request.scheme.decode("latin-1")
    http.protocol = request.protocol
    headers: dict[str, str] = {}
    pseudo = ((":method", http.method), (":path", http.path), (":authority", http.host), (":scheme", http.scheme))
    for name, value in (*pseudo, *lines(request)):
        if is_shown(plan, name) is not False:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    length = headers.get("content-length", "")
    http.size = min(int(length), _LARGEST) if length.isdecimal() else -1
    http.id = _text(headers.get("x-request-id", ""))
    if plan.body is not None:
        headers[PARTIAL_BODY] = "true" if request.is_partial else "false"
        if plan.body.as_bytes:
            http.raw_body = request.body
        else:
            http.body = request.body.decode("utf-8", "replace")
    http.headers.update({name: _text(value) for name, value in headers.items()})


def _text(value: str) -> str:
    """What protobuf takes for a string: bytes that are no UTF-8 are replaced, as in Envoy."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def answer_of(serial: int, response: Any) -> InquiryAnswer:
    """What a CheckResponse says."""
    if response.status.code == grpc.StatusCode.OK.value[0]:
        ok = response.ok_response
        removed: tuple[HeaderChange, ...] = tuple(("remove", name, "") for name in ok.headers_to_remove)
        return InquiryAnswer(
            serial,
            allowed=True,
            request_changes=(*removed, *map(_change, ok.headers)),
            response_changes=tuple(map(_added, ok.response_headers_to_add)),
        )
    denied = response.denied_response
    return InquiryAnswer(
        serial,
        status=denied.status.code or _FORBIDDEN,
        body=denied.body.encode(),
        response_changes=tuple(map(_change, denied.headers)),
    )


def _change(option: Any) -> HeaderChange:
    """Written over, unless it is to be appended: so Envoy treats headers of requests and denials."""
    return ("append" if option.append.value else "replace", option.header.key, _value(option.header))


def _added(option: Any) -> HeaderChange:
    """Appended, unless it is to be written over: so Envoy treats headers of endpoints' responses."""
    replaces = option.append_action != _APPENDS or (option.HasField("append") and not option.append.value)
    return ("replace" if replaces else "append", option.header.key, _value(option.header))


def _value(header: Any) -> str:
    return str(header.value or header.raw_value.decode("utf-8", "surrogateescape"))
