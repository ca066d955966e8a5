"""Loopback addresses and ports that nobody else uses."""

from __future__ import annotations

import os
import socket
import urllib.request
from collections.abc import Iterator


def addresses() -> Iterator[str]:
    """Loopback addresses for this run: 127.(128..191).x.y by process id, so that two runs do not meet."""
    pid = os.getpid()
    for last in range(1, 255):
        yield f"127.{128 + pid // 250 % 64}.{pid % 250}.{last}"


def listens(address: str, port: int) -> bool:
    """Whether someone accepts connections there."""
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


def is_ready(url: str) -> bool:
    """Whether a health page answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
