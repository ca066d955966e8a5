"""gRPC channels to services of the mesh, which the agent itself calls."""

from __future__ import annotations

from typing import Final

import grpc

CLOSE_SECONDS: Final = 5.0
_MAX_CHANNELS: Final = 16
_OPTIONS: Final = (
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    # A server that comes back is to be asked again soon.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5000),
)


class Channels:
    """By target and authority; the oldest one makes room."""

    def __init__(self) -> None:
        self._channels: dict[tuple[str, str], grpc.aio.Channel] = {}

    async def find(self, target: str, authority: str) -> grpc.aio.Channel:
        """The channel; opened when it is used."""
        key = (target, authority)
        known = self._channels.get(key)
        if known is None:
            while len(self._channels) >= _MAX_CHANNELS:  # endpoints that are no more
                await self._channels.pop(next(iter(self._channels))).close(CLOSE_SECONDS)
            options = (("grpc.default_authority", authority), *_OPTIONS)
            known = self._channels[key] = grpc.aio.insecure_channel(target, options)
        return known

    async def close(self) -> None:
        """Close all."""
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            await channel.close()
