"""Whether the rules are in force: a connection that they redirect must arrive at the proxy's port."""

from __future__ import annotations

import logging
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from mizzen.injector.proxyinit.rules import Family
from mizzen.injector.proxyinit.settings import Capture

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 0.5
CONNECT_SECONDS: Final = 1.0
SO_ORIGINAL_DST: Final = 80
_LISTEN: Final = {4: "127.0.0.1", 6: "::1"}
_TARGET: Final = {4: "127.0.0.6", 6: "::6"}
_SOCKET: Final = {4: socket.AF_INET, 6: socket.AF_INET6}


class ProbeError(Exception):
    """The rules are not in force, or it cannot be told."""


def validate(capture: Capture, family: Family, port: int, seconds: float, clock: Callable[[], float]) -> None:
    """Connect to `port` as the proxy, again and again for `seconds`, until it arrives at a port of the proxy.

    The rules may be written by somebody else meanwhile. Needs the proxy's ports to be free, and its uid or root.
    Raises ProbeError.
    """
    deadline = clock() + seconds
    with ExitStack() as stack:
        listeners = [stack.enter_context(_listen(family, own)) for own in (capture.inbound_port, capture.outbound_port)]
        while True:
            failure = _try(listeners, capture, family, port)
            if failure is None:
                return
            log.info("%s", failure)
            if clock() + PAUSE_SECONDS >= deadline:
                raise ProbeError(f"{failure}, in {seconds:g} s: the rules for IPv{family} are not in force")
            time.sleep(PAUSE_SECONDS)


def original_destination(connection: socket.socket) -> tuple[str, int]:
    """Where the client meant to go. Raises OSError."""
    if connection.family == socket.AF_INET6:
        raw = connection.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, 28)
        port, address = struct.unpack_from("!2xH4x16s", raw)
        return socket.inet_ntop(socket.AF_INET6, address), port
    raw = connection.getsockopt(socket.IPPROTO_IP, SO_ORIGINAL_DST, 16)
    port, address = struct.unpack_from("!2xH4s", raw)
    return socket.inet_ntop(socket.AF_INET, address), port


def _listen(family: Family, port: int) -> socket.socket:
    listener = socket.socket(_SOCKET[family])
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_LISTEN[family], port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise ProbeError(f"cannot listen on port {port} of {_LISTEN[family]} ({error}): is the proxy up?") from None
    return listener


def _try(listeners: list[socket.socket], capture: Capture, family: Family, port: int) -> str | None:
    """None, or why it failed."""
    with _proxy_identity(capture), socket.socket(_SOCKET[family]) as client:
        client.settimeout(CONNECT_SECONDS)
        try:
            client.bind((_LISTEN[family], 0))
            client.connect((_TARGET[family], port))
        except OSError as error:
            return f"a connection to {_TARGET[family]} port {port} was not redirected ({error})"
        for listener in select.select(listeners, [], [], CONNECT_SECONDS)[0]:
            connection, _ = listener.accept()
            with connection:
                if original_destination(connection)[1] == port:
                    return None
        return f"a connection to {_TARGET[family]} port {port} arrived elsewhere"


@contextmanager
def _proxy_identity(capture: Capture) -> Iterator[None]:
    """Be the proxy's user for a while: what others connect to on loopback is left alone.

    A socket is the user's who is in effect when it is made.
    """
    user, group = os.geteuid(), os.getegid()
    if user in capture.uids or group in capture.gids:
        yield
        return
    if user != 0:
        raise ProbeError(f"validation needs to run as root or as the proxy's uid {capture.uids[0]}, not as {user}")
    try:
        os.setegid(capture.gids[0])
        os.seteuid(capture.uids[0])
        yield
    except PermissionError as error:
        raise ProbeError(f"validation as root needs the capabilities SETUID and SETGID ({error})") from None
    finally:
        os.seteuid(user)
        os.setegid(group)
