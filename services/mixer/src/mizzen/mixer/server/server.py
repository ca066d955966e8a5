"""The gRPC server: bytes and streams around the services, which know neither."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from envoy.service.accesslog.v3 import als_pb2
from envoy.service.auth.v3 import external_auth_pb2

from mizzen.mixer.server.calls import Calls
from mizzen.mixer.server.envoy.accesslog import AccessLogs
from mizzen.mixer.server.envoy.authorization import Authorization
from mizzen.mixer.server.metrics import MethodMetrics
from mizzen.mixer.server.mixer import Mixer
from mizzen.mixer.server.peer import Peer
from mizzen.mixer.server.policy import Policy
from mizzen.mixer.server.refusal import Refusal
from mizzen.mixer.server.secure import SecureDoor
from mizzen.mixer.status import Code
from mizzen.proto import mixer_pb2
from mizzen.runtime.address import Address, check_free, explain_bind_error
from mizzen.runtime.errors import StartError

MIXER = "istio.mixer.v1.Mixer"
AUTHORIZATION = "envoy.service.auth.v3.Authorization"
ACCESS_LOGS = "envoy.service.accesslog.v3.AccessLogService"
GRACE_SECONDS = 5.0
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class MixerServer:
    """Serves a policy to Istio's and Envoy's clients: in plaintext, or behind a door that knows who they are."""

    def __init__(
        self,
        policy: Policy,
        calls: Calls,
        door: SecureDoor | None = None,
        *,
        max_message_bytes: int = 1 << 20,
        max_streams: int = 1024,
    ) -> None:
        self._calls = calls
        self._policy = policy
        self._door = door
        self._streams = Streams(
            AccessLogs(policy, calls),
            MethodMetrics(calls.metrics, ACCESS_LOGS, "StreamAccessLogs", "client_stream"),
            self._peer,
        )
        self._server = grpc.aio.server(
            options=(
                ("grpc.max_receive_message_length", max_message_bytes),
                ("grpc.max_send_message_length", max_message_bytes),
                ("grpc.max_concurrent_streams", max_streams),
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.keepalive_timeout_ms", 10_000),
                ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
                ("grpc.so_reuseport", 0),  # a second server on the port is an error, not a partner
            )
        )
        self._server.add_generic_rpc_handlers(self._handlers())
        self._address: Address | None = None

    @property
    def address(self) -> Address:
        """Where it listens, with the port that the system chose for port 0."""
        if self._address is None:
            raise RuntimeError("the server was not started")
        return self._address

    async def start(self, address: Address) -> None:
        """Listen; raises StartError that names the address."""
        check_free(address)
        try:
            if self._door is None:
                port = self._server.add_insecure_port(str(address))
            else:
                port = self._server.add_secure_port(str(address), self._door.credentials)
        except RuntimeError as error:
            raise StartError(explain_bind_error(address, OSError(errno.EIO, str(error)))) from error
        await self._server.start()
        self._address = Address(address.host, port)

    async def close(self) -> None:
        """Take no more calls, and give those under way a moment; clients of logs come back elsewhere."""
        self._streams.close()
        await self._server.stop(GRACE_SECONDS)

    def _handlers(self) -> tuple[Any, ...]:
        mixer, authorization = Mixer(self._policy), Authorization(self._policy)
        check = self._unary(MIXER, "Check", mixer.check, lambda request: 1)
        report = self._unary(MIXER, "Report", mixer.report, lambda request: len(request.attributes))
        authorize = self._unary(AUTHORIZATION, "Check", authorization.check, lambda request: 1)
        stream = grpc.stream_unary_rpc_method_handler(
            self._streams.serve,
            request_deserializer=als_pb2.StreamAccessLogsMessage.FromString,
            response_serializer=als_pb2.StreamAccessLogsResponse.SerializeToString,
        )
        handlers = {
            MIXER: {
                "Check": _method(check, mixer_pb2.CheckRequest, mixer_pb2.CheckResponse),
                "Report": _method(report, mixer_pb2.ReportRequest, mixer_pb2.ReportResponse),
            },
            AUTHORIZATION: {
                "Check": _method(authorize, external_auth_pb2.CheckRequest, external_auth_pb2.CheckResponse)
            },
            ACCESS_LOGS: {"StreamAccessLogs": stream},
        }
        return tuple(grpc.method_handlers_generic_handler(name, methods) for name, methods in handlers.items())

    def _peer(self, context: Any) -> Peer | None:
        """Raises Refusal."""
        return self._door.peer(context) if self._door is not None else None

    def _unary(
        self, service: str, method: str, work: Callable[[Any, Peer | None], Any], cost: Callable[[Any], int]
    ) -> Callable[[Any, Any], Awaitable[Any]]:
        metrics = MethodMetrics(self._calls.metrics, service, method)

        async def serve(request: Any, context: Any) -> Any:
            try:
                peer = self._peer(context)
                return await self._calls.run(metrics, cost(request), lambda: work(request, peer))
            except Refusal as refusal:
                await context.abort(_CODES[refusal.code], refusal.message)

        return serve


class Streams:
    """The open streams of access logs."""

    def __init__(self, logs: AccessLogs, metrics: MethodMetrics, peer: Callable[[Any], Peer | None]) -> None:
        self._logs = logs
        self._metrics = metrics
        self._peer = peer
        self._waiting: set[asyncio.Task[Any]] = set()
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End streams that wait for a message now, the others after the one they are at."""
        self._closing.set()
        for task in self._waiting:
            task.cancel()

    async def serve(self, _: Any, context: Any) -> als_pb2.StreamAccessLogsResponse:
        """One stream, to its end."""
        self._metrics.started.inc()
        code = Code.CANCELLED
        try:
            stream = self._logs.stream(self._peer(context))
            while (message := await self._read(context)) is not None:
                self._metrics.received.inc()
                await stream.take(message)
            code = Code.OK
        except Refusal as refusal:
            code = refusal.code
            await context.abort(_CODES[code], refusal.message)
        finally:
            self._metrics.handled(code)
        return als_pb2.StreamAccessLogsResponse()

    async def _read(self, context: Any) -> Any:
        """The next message; None at the end of the stream or of the server."""
        if self._closing.is_set():
            return None
        reading = asyncio.ensure_future(context.read())
        self._waiting.add(reading)
        try:
            message = await reading
        except asyncio.CancelledError:
            if self._closing.is_set() and reading.cancelled():
                return None
            raise
        finally:
            self._waiting.discard(reading)
        return None if message is grpc.aio.EOF else message


def _method(serve: Callable[[Any, Any], Awaitable[Any]], request: Any, response: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        serve, request_deserializer=request.FromString, response_serializer=response.SerializeToString
    )
