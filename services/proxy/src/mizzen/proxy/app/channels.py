"""gRPC channels to services of the mesh, which the agent itself calls."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

import grpc

CLOSE_SECONDS: Final = 5.0
_MAX_CHANNELS: Final = 16
OPTIONS: Final = (
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    # A server that comes back is to be asked again soon.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5000),
)
CONNECT_OPTION: Final = "grpc.min_reconnect_backoff_ms"
"""Milliseconds that each attempt to connect has at least. Not among OPTIONS: the first of two settings counts."""
_CONNECT_MILLISECONDS: Final = 200


class Security(NamedTuple):
    """How a server is known, and what it is shown: mutual TLS."""

    credentials: grpc.ChannelCredentials
    server_name: str
    """The DNS name that the server's certificate must have: gRPC's library compares no SPIFFE ids."""


class Channels:
    """By target and authority; the oldest one makes room, and one with other credentials than before goes."""

    def __init__(self) -> None:
        self._channels: dict[tuple[str, str], tuple[grpc.aio.Channel, Security | None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def find(self, target: str, authority: str, security: Security | None = None) -> grpc.aio.Channel:
        """The channel; opened when it is used. Without security it is plain text."""
        key = (target, authority)
        channel, shown = self._channels.get(key, (None, None))
        if channel is not None and shown == security:
            return channel
        if channel is not None:
            self._leave(channel)
        while len(self._channels) >= _MAX_CHANNELS:  # endpoints that are no more
            self._leave(self._channels.pop(next(iter(self._channels)))[0])
        options = (("grpc.default_authority", authority), (CONNECT_OPTION, _CONNECT_MILLISECONDS), *OPTIONS)
        if security is None:
            channel = grpc.aio.insecure_channel(target, options)
        else:
            named = ("grpc.ssl_target_name_override", security.server_name)
            channel = grpc.aio.secure_channel(target, security.credentials, (*options, named))
        self._channels[key] = (channel, security)
        return channel

    async def close(self) -> None:
        """Close all."""
        channels, self._channels = self._channels, {}
        for leaving in tuple(self._leaving):
            leaving.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        for channel, _ in channels.values():
            await channel.close()

    def _leave(self, channel: grpc.aio.Channel) -> None:
        """Let its calls end; nobody waits for that."""
        leaving = asyncio.create_task(channel.close(CLOSE_SECONDS))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
