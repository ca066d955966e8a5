"""grpc.health.v1.Health/Check, asked from an address of our choice."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from mizzen.proxy.app.pod.http_client import CHUNK, Peer, connect

METHOD = "/grpc.health.v1.Health/Check"
_SERVING = b"\x08\x01"
"""HealthCheckResponse with its field 1, status, at SERVING."""


async def check_health(peer: Peer, service: str, user_agent: str, seconds: float) -> str:
    """Why it does not serve; "" when it does."""
    import grpc  # where no probe speaks gRPC, it costs no memory

    options = [
        ("grpc.default_authority", str(peer.address)),
        ("grpc.primary_user_agent", user_agent),
        ("grpc.enable_http_proxy", 0),
    ]
    problems: list[str] = []
    async with _relay(peer, problems) as target, grpc.aio.insecure_channel(target, options=options) as channel:
        try:
            answer = await channel.unary_unary(METHOD)(_health_request(service), timeout=seconds)
        except grpc.aio.AioRpcError as error:
            return problems[0] if problems else f"gRPC {error.code().name}: {error.details()}"
    return "" if answer == _SERVING else "the health service does not say SERVING"


def _health_request(service: str) -> bytes:
    """HealthCheckRequest with its field 1, service."""
    name = service.encode()
    if len(name) > 127:
        raise ValueError("the name of a gRPC service has at most 127 bytes here")
    return bytes((0x0A, len(name))) + name if name else b""


@asynccontextmanager
async def _relay(peer: Peer, problems: list[str]) -> AsyncIterator[str]:
    """A socket for gRPC to call, since its channels cannot be told the address that they call from.

    Capture leaves connections from that address alone. Why the application cannot be reached comes into `problems`.
    """
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_carry(peer, problems, reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    name = f"mizzen-probe-{os.urandom(8).hex()}"
    server = await asyncio.start_unix_server(accept, path=f"\0{name}")
    try:
        yield f"unix-abstract:{name}"
    finally:
        server.close()
        for task in tuple(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def _carry(peer: Peer, problems: list[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        far_reader, far_writer = await connect(peer)
    except OSError as error:
        problems.append(str(error))
        writer.close()
        return
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_copy(reader, far_writer))
            both.create_task(_copy(far_reader, writer))
    finally:
        far_writer.close()
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()
