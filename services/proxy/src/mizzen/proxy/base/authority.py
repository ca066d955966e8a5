"""Host and port of an authority (`reviews:9080`, `[::1]:80`)."""

from __future__ import annotations


def port_start(authority: bytes) -> int:
    """Where `:port` begins; -1 when there is none. The colons of a bracketed IPv6 address are not its beginning."""
    colon = authority.rfind(b":")
    return colon if colon > authority.rfind(b"]") else -1


def without_port(authority: bytes) -> bytes:
    """`reviews:9080` → `reviews`, `[::1]:80` → `[::1]`."""
    start = port_start(authority)
    return authority if start < 0 else authority[:start]
