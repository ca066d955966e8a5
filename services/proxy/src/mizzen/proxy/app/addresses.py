"""The addresses of this machine, or of this container: those that connections to its workload bear."""

from __future__ import annotations

import fcntl
import socket
import struct
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Final

_SIOCGIFADDR: Final = 0x8915
_IPV6: Final = Path("/proc/net/if_inet6")


def own_addresses() -> tuple[str, ...]:
    """Of all interfaces but loopback, IPv4 first; without those that hold on one link only."""
    found = [address for _, name in socket.if_nameindex() if (address := _ipv4(name))]
    found += _ipv6(_IPV6.read_text()) if _IPV6.exists() else []
    return tuple(address for address in found if not _is_special(address))


def _ipv4(interface: str) -> str:
    """The interface's first address; "" when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            answer = fcntl.ioctl(asking, _SIOCGIFADDR, struct.pack("256s", interface.encode()[:15]))
        except OSError:
            return ""
    return socket.inet_ntoa(answer[20:24])


def _ipv6(table: str) -> list[str]:
    """From lines of address, index, prefix length, scope, flags and interface."""
    return [
        str(IPv6Address(bytes.fromhex(words[0]))) for words in map(str.split, table.splitlines()) if words[-1] != "lo"
    ]


def _is_special(address: str) -> bool:
    found = ip_address(address)
    return found.is_loopback or found.is_link_local or found.is_unspecified
