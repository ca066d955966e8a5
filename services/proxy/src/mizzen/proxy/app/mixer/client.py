"""Calls to Mixer's servers: the Mixer behind a network."""

from __future__ import annotations

import asyncio
import random
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import grpc

from mizzen.attributes.batch import ReportEncoder
from mizzen.attributes.values import Value
from mizzen.attributes.words import BASE_COUNT
from mizzen.proto.mixer_pb2 import CheckRequest, CheckResponse, ReportResponse
from mizzen.proxy.app.channels import Channels, Security
from mizzen.proxy.app.mixer.addresses import Target
from mizzen.proxy.app.mixer.contract import CALL_SECONDS, CallFailed, Decision, Question
from mizzen.proxy.app.mixer.messages import read_response, write_request
from mizzen.proxy.engine.mixer_plan import TransportPlan
from mizzen.proxy.engine.verdict import DEADLINE_EXCEEDED, UNAVAILABLE
from mizzen.runtime.backoff import Backoff

GLOBAL_WORDS: Final = 203
"""Of the global dictionary: what Istio 1.0 knows, so that every Mixer understands."""
_FEWER_WORDS: Final = "Request could not be processed due to invalid"
"""So begins what a server says that does not know the words."""
_CHECK: Final = "/istio.mixer.v1.Mixer/Check"
_REPORT: Final = "/istio.mixer.v1.Mixer/Report"


class MixerCalls:
    """Channels to Mixer, by address. Implements `contract.MixerClient`."""

    def __init__(
        self,
        find: Callable[[str], Target],
        check_seconds: float = CALL_SECONDS,
        credentials: Callable[[], Awaitable[grpc.ChannelCredentials]] | None = None,
    ) -> None:
        """`find` gives a cluster's target; LookupError says why there is none.

        `check_seconds` is for a check with all its repetitions. `credentials` are those of the day, by which this
        proxy proves who it is, and which may have to be waited for; None where it cannot.
        """
        self.words = GLOBAL_WORDS
        """How many words of the global dictionary the server understands."""
        self._find = find
        self._check_seconds = check_seconds
        self._credentials = credentials
        self._channels = Channels()

    async def check(self, transport: TransportPlan, question: Question) -> Decision:
        """Repeated as the transport says while Mixer cannot be reached. CallFailed."""
        request = write_request(question, self.words)
        backoff = Backoff(transport.base_retry_wait, transport.max_retry_wait)
        try:
            async with asyncio.timeout(self._check_seconds):
                for _ in range(transport.max_retry):
                    try:
                        return await self._check(transport, request)
                    except CallFailed:
                        await asyncio.sleep(backoff.next(random.random()))
                return await self._check(transport, request)
        except TimeoutError:
            raise CallFailed(DEADLINE_EXCEEDED, f"Mixer did not answer within {self._check_seconds:g} s") from None

    def batch(self, transport: TransportPlan) -> EncodedBatch:
        """Encoded as it comes."""
        return EncodedBatch(self, transport)

    async def report(self, transport: TransportPlan, request: bytes) -> None:
        """One attempt with a ReportRequest on the wire. CallFailed."""
        await self._call(transport, transport.report_cluster, (_REPORT, ReportResponse), request)

    async def close(self) -> None:
        """Close all channels."""
        await self._channels.close()

    async def _check(self, transport: TransportPlan, request: CheckRequest) -> Decision:
        message = request.SerializeToString()
        return read_response(await self._call(transport, transport.check_cluster, (_CHECK, CheckResponse), message))

    async def _call(self, transport: TransportPlan, cluster: str, method: tuple[str, Any], request: bytes) -> Any:
        path, response = method
        try:
            target = self._find(cluster)
        except LookupError as error:
            raise CallFailed(UNAVAILABLE, str(error.args[0])) from error
        security = await self._security(target.server_name) if target.server_name else None
        channel = await self._channels.find(target.address, "mixer", security)
        call = channel.unary_unary(path, response_deserializer=response.FromString)
        metadata = ()
        if transport.own_attributes:
            metadata = (("x-istio-attributes", b64encode(transport.own_attributes).decode()),)  # type: ignore[assignment]
        try:
            return await call(request, timeout=CALL_SECONDS, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            code, details = error.code().value[0], error.details() or ""
            if error.code() == grpc.StatusCode.INVALID_ARGUMENT and details.startswith(_FEWER_WORDS):
                self.words = BASE_COUNT
            raise CallFailed(code, details) from error

    async def _security(self, server_name: str) -> Security:
        """CallFailed."""
        if self._credentials is None:
            raise CallFailed(UNAVAILABLE, f"{server_name} wants a certificate, and this proxy has no identity")
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return Security(await self._credentials(), server_name)
        except TimeoutError:
            raise CallFailed(UNAVAILABLE, f"{server_name} wants a certificate, and this proxy has none yet") from None


class EncodedBatch:
    """Reports as one message. Implements `contract.Batch`."""

    def __init__(self, calls: MixerCalls, transport: TransportPlan) -> None:
        self._calls = calls
        self._transport = transport
        self._encoder = ReportEncoder(global_words=calls.words)
        self._request: bytes | None = None

    def __len__(self) -> int:
        return len(self._encoder)

    def add(self, own: Mapping[str, Value], common: Mapping[str, Value]) -> None:
        """Encode one; raises InvalidAttributes."""
        self._encoder.add(own, common)

    async def send(self) -> None:
        """One attempt. CallFailed."""
        if self._request is None:
            self._request = self._encoder.finish()
        await self._calls.report(self._transport, self._request)
