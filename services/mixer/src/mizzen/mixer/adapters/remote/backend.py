"""Calls to an adapter's process: addressed, timed out, and within a session where the adapter has them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage

from mizzen.mixer.adapter import AdapterError, Use
from mizzen.mixer.adapters import metrics
from mizzen.mixer.adapters.remote.messages import fill_types
from mizzen.mixer.adapters.remote.security import Security
from mizzen.mixer.adapters.remote.services import BY_TEMPLATE
from mizzen.proto import adapter_model_pb2 as model

log = logging.getLogger(__name__)

INFRASTRUCTURE = "/istio.mixer.adapter.model.v1beta1.InfrastructureBackend"
SESSION_TYPE = "google.protobuf.Any.type_url"  # what Istio's protos say that the id of a session is sent as
CLOSE_SECONDS = 1.0


class TooLate(AdapterError, TimeoutError):
    """The adapter did not answer in time."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an adapter is, and how it wants to be spoken to."""

    handler: str
    address: str
    config: AnyMessage
    session_based: bool
    seconds: float
    security: Security | None = None
    """None: plaintext."""


class Backend:
    """A channel to one adapter. It connects when needed, and again after the adapter was away."""

    def __init__(self, endpoint: Endpoint, uses: Sequence[Use]) -> None:
        self._endpoint = endpoint
        self._uses = uses
        self._channel = _channel(endpoint)
        self._session: str | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Have the adapter look at its parameters and open a session, if it has sessions; raises AdapterError.

        An adapter that does not answer yet gets its session with the first call.
        """
        if not self._endpoint.session_based:
            return
        request = model.ValidateRequest(adapter_config=self._endpoint.config, inferred_types=self._types())
        try:
            answer = await self._call(f"{INFRASTRUCTURE}/Validate", request, model.ValidateResponse)
            _expect_ok(answer.status, "params")
            await self._session_id()
        except grpc.aio.AioRpcError as error:
            log.warning("%s: no session yet: %s", self._endpoint.handler, self._reason(error))

    async def call(self, path: str, request: Any, response: type[Any]) -> Any:
        """Send one request, its config filled in; raises AdapterError."""
        with metrics.backend_call(self._endpoint.handler):
            try:
                return await self._call_in_session(path, request, response)
            except grpc.aio.AioRpcError as error:
                late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
                raise (TooLate if late else AdapterError)(self._reason(error)) from None

    async def close(self) -> None:
        """End the session, if the adapter answers soon, and the connection."""
        if self._session is not None:
            request = model.CloseSessionRequest(session_id=self._session)
            try:
                await self._call(f"{INFRASTRUCTURE}/CloseSession", request, model.CloseSessionResponse, CLOSE_SECONDS)
            except grpc.aio.AioRpcError as error:
                log.info("%s: the session could not be closed: %s", self._endpoint.handler, self._reason(error))
        await self._channel.close()

    async def _call_in_session(self, path: str, request: Any, response: type[Any]) -> Any:
        if not self._endpoint.session_based:
            request.adapter_config.CopyFrom(self._endpoint.config)
            return await self._call(path, request, response)
        session = await self._session_id()
        request.adapter_config.CopyFrom(AnyMessage(type_url=SESSION_TYPE, value=session.encode()))
        try:
            return await self._call(path, request, response)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
        # The adapter was started anew and knows nothing of the session.
        if self._session == session:
            self._session = None
        request.adapter_config.value = (await self._session_id()).encode()
        return await self._call(path, request, response)

    async def _session_id(self) -> str:
        async with self._opening:
            if self._session is None:
                request = model.CreateSessionRequest(adapter_config=self._endpoint.config, inferred_types=self._types())
                answer = await self._call(f"{INFRASTRUCTURE}/CreateSession", request, model.CreateSessionResponse)
                _expect_ok(answer.status, "session")
                self._session = answer.session_id
            return self._session

    async def _call(self, path: str, request: Any, response: type[Any], seconds: float | None = None) -> Any:
        method = self._channel.unary_unary(
            path, request_serializer=type(request).SerializeToString, response_deserializer=response.FromString
        )
        return await method(request, timeout=self._endpoint.seconds if seconds is None else seconds)

    def _types(self) -> dict[str, AnyMessage]:
        inferred = {}
        for use in self._uses:
            types = BY_TEMPLATE[use.template].types()
            fill_types(types, use.types)
            packed = inferred[use.name] = AnyMessage()
            packed.Pack(types)
        return inferred

    def _reason(self, error: grpc.aio.AioRpcError) -> str:
        return f"the adapter at {self._endpoint.address} failed: {error.code().name}: {error.details()}"


def _channel(endpoint: Endpoint) -> grpc.aio.Channel:
    target, security = endpoint.address.removeprefix("tcp://"), endpoint.security
    options: list[tuple[str, str | int]] = [("grpc.max_reconnect_backoff_ms", 5000), ("grpc.enable_http_proxy", 0)]
    if security is None:
        return grpc.aio.insecure_channel(target, options=options)
    if security.server_name:
        options.append(("grpc.ssl_target_name_override", security.server_name))
    return grpc.aio.secure_channel(target, security.credentials, options=options)


def _expect_ok(status: Any, what: str) -> None:
    if status.code:
        raise AdapterError(f"{what}: the adapter says: {status.message or f'code {status.code}'}")
