"""Asking the kernel where a redirected connection was going, and which addresses are ours."""

from __future__ import annotations

import socket
from typing import Any, TypeAlias

_SO_ORIGINAL_DST = 80
"""netfilter's, also as IP6T_SO_ORIGINAL_DST."""
_SOCKADDR_IN, _SOCKADDR_IN6 = 16, 28

Destination: TypeAlias = tuple[str, int]


class Kernel:
    """What only the kernel knows; tests put another one in its place."""

    def original_destination(self, sock: Any) -> Destination | None:
        """The address that the client connected to, before REDIRECT or DNAT; None when nothing is known of that."""
        try:
            if sock.family == socket.AF_INET6:
                raw = sock.getsockopt(socket.IPPROTO_IPV6, _SO_ORIGINAL_DST, _SOCKADDR_IN6)
                return socket.inet_ntop(socket.AF_INET6, raw[8:24]), int.from_bytes(raw[2:4], "big")
            raw = sock.getsockopt(socket.IPPROTO_IP, _SO_ORIGINAL_DST, _SOCKADDR_IN)
            return socket.inet_ntop(socket.AF_INET, raw[4:8]), int.from_bytes(raw[2:4], "big")
        except OSError:  # no connection tracking, or nothing was translated
            return None

    def is_own_address(self, host: str) -> bool:
        """Whether this machine has the address."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host, 0))
            except OSError:
                return False
        return True
