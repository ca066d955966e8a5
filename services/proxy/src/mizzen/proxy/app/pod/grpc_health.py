"""grpc.health.v1.Health/Check, asked from an address of our choice."""

from __future__ import annotations

from mizzen.proxy.app.pod.http_client import Peer
from mizzen.proxy.app.pod.relay import Relay

METHOD = "/grpc.health.v1.Health/Check"
_SERVING = b"\x08\x01"
"""HealthCheckResponse with its field 1, status, at SERVING."""


async def check_health(peer: Peer, service: str, user_agent: str, seconds: float) -> str:
    """Why it does not serve; "" when it does.

    By a relay, since gRPC's channels cannot be told the address that they call from: capture leaves connections from
    that one alone.
    """
    import grpc  # where no probe speaks gRPC, it costs no memory

    options = [
        ("grpc.default_authority", str(peer.address)),
        ("grpc.primary_user_agent", user_agent),
        ("grpc.enable_http_proxy", 0),
    ]
    relay = Relay(peer, seconds)
    await relay.open()
    try:
        async with grpc.aio.insecure_channel(relay.target, options=options) as channel:
            answer = await channel.unary_unary(METHOD)(_health_request(service), timeout=seconds)
    except grpc.aio.AioRpcError as error:
        why = relay.failure if error.code() is grpc.StatusCode.UNAVAILABLE else ""
        return why or f"gRPC {error.code().name}: {error.details()}"
    finally:
        await relay.close()
    return "" if answer == _SERVING else "the health service does not say SERVING"


def _health_request(service: str) -> bytes:
    """HealthCheckRequest with its field 1, service."""
    name = service.encode()
    if len(name) > 127:
        raise ValueError("the name of a gRPC service has at most 127 bytes here")
    return bytes((0x0A, len(name))) + name if name else b""
