"""What a client needs to know of an API server."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Server:
    """One API server, and how to log in."""

    url: str
    tls: ssl.SSLContext | None = None
    """None for plain HTTP."""
    tls_name: str | None = None
    """The name in its certificate, where that is not the host of `url`."""
    authorization: str = field(default="", repr=False)
    proxy: str | None = None


class Access(Protocol):
    """Where that stands. It is asked for each request, since credentials are renewed in their files."""

    def server(self) -> Server:
        """As of now, from a few small files; raises OSError or ValueError that says what is wrong."""
        ...
