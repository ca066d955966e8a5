"""A Mixer server that answers what a test wants and keeps what it hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc

from mizzen.attributes.batch import decode_report
from mizzen.attributes.compressed import decode
from mizzen.attributes.referenced import encode_references
from mizzen.attributes.values import Value
from mizzen.proto.mixer_pb2 import CheckRequest, CheckResponse, ReportRequest, ReportResponse


class FakeMixer:
    """`answer` makes a response to a check's attributes and request. `start`, then `close`."""

    def __init__(self, port: int = 0, credentials: grpc.ServerCredentials | None = None) -> None:
        """`credentials` are for TLS."""
        self.peers: list[tuple[str, str]] = []
        """Of each check, where it came from and what certificate was shown, PEM."""
        self.checks: list[CheckRequest] = []
        self.reported: list[dict[str, Value]] = []
        self.answer: Callable[[dict[str, Value], CheckRequest], CheckResponse] = lambda seen, request: allow()
        self.fails: list[tuple[grpc.StatusCode, str]] = []
        """What the next checks fail with."""
        self.waits: tuple[asyncio.Event, asyncio.Event] | None = None
        """Set when a check arrives, and what it then waits for."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        handlers = {
            "Check": _unary(self._check, CheckRequest),
            "Report": _unary(self._report, ReportRequest),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("istio.mixer.v1.Mixer", handlers),))
        address = f"127.0.0.1:{port}"
        if credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, credentials)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        await self._server.start()

    async def close(self) -> None:
        await self._server.stop(0)

    async def _check(self, request: CheckRequest, context: Any) -> CheckResponse:
        self.checks.append(request)
        self.peers.append((context.peer(), b"".join(context.auth_context().get("x509_pem_cert", ())).decode()))
        if self.waits is not None:
            arrived, go_on = self.waits
            arrived.set()
            await go_on.wait()
        if self.fails:
            await context.abort(*self.fails.pop(0))
        return self.answer(decode(request.attributes), request)

    async def _report(self, request: ReportRequest, context: Any) -> ReportResponse:
        batch = decode_report(request)
        assert not batch.errors
        self.reported += batch.entries
        return ReportResponse()


def _unary(method: Any, request: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        method, request_deserializer=request.FromString, response_serializer=lambda message: message.SerializeToString()
    )


def allow(*references: str | tuple[str, str], code: int = 0, message: str = "", uses: int = 1000) -> CheckResponse:
    """A result that holds for a minute for all requests with the same values."""
    response = CheckResponse()
    result = response.precondition
    result.status.code = code
    result.status.message = message
    result.valid_duration.seconds = 60
    result.valid_use_count = uses
    result.referenced_attributes.CopyFrom(encode_references(dict.fromkeys(references, True)))
    return response
