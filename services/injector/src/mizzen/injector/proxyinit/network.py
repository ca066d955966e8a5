"""The network of this pod: its addresses, its DNS servers, and the routes that captured packets need."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

from mizzen.injector.proxyinit.iptables import CaptureError, run
from mizzen.injector.proxyinit.rules import FAMILIES, Family
from mizzen.injector.proxyinit.settings import Capture

log = logging.getLogger(__name__)

Address = IPv4Address | IPv6Address

PASSTHROUGH_V6 = "::6"
"""IPv4 has all of 127.0.0.0/8 on loopback; of IPv6, loopback has ::1 alone, so this address is added."""


def local_addresses() -> list[Address]:
    """The pod's addresses, IPv4 before IPv6, without loopback and link-local ones. Raises CaptureError."""
    rows = _ip(4, "address", "show") + _ip(6, "address", "show")
    found = [ip_address(info["local"]) for row in rows for info in row.get("addr_info", ()) if "local" in info]
    return [a for a in found if not a.is_loopback and not a.is_link_local and a != ip_address(PASSTHROUGH_V6)]


def families(addresses: list[Address], *, dual_stack: bool) -> tuple[Family, ...]:
    """IPv4 always; IPv6 when it is the pod's first address, or when it has one and dual stack is wanted."""
    wanted = addresses if dual_stack else addresses[:1]
    return (4, 6) if any(address.version == 6 for address in wanted) else (4,)


def dns_servers(resolv_conf: str, family: Family) -> tuple[str, ...]:
    """The nameservers of one family that a resolv.conf has."""
    words = [line.split() for line in resolv_conf.splitlines()]
    names = [row[1].partition("%")[0] for row in words if len(row) > 1 and row[0] == "nameserver"]
    return tuple(name for name in dict.fromkeys(names) if _version(name) == family)


def read_resolv_conf() -> str:
    """Raises CaptureError."""
    try:
        return Path("/etc/resolv.conf").read_text("utf-8")
    except OSError as error:
        raise CaptureError(f"DNS is to be captured, and its servers cannot be read: {error}") from None


def add_routes(capture: Capture, enabled: tuple[Family, ...]) -> None:
    """Add what the rules rely on, where it is not there. Raises CaptureError."""
    if 6 in enabled and not _passthrough_address():
        run(["ip", "-6", "address", "add", f"{PASSTHROUGH_V6}/128", "dev", "lo"])
    if capture.mode == "TPROXY" and capture.inbound_ports:
        for family in enabled:
            _add_tproxy(capture, family)


def remove_routes(capture: Capture) -> None:
    """Remove what `add_routes` adds. Raises CaptureError."""
    if shutil.which("ip") is None:
        log.warning("there is no program ip here: routes of TPROXY and the address ::6 stay, where they are")
        return
    if _passthrough_address():
        run(["ip", "-6", "address", "delete", f"{PASSTHROUGH_V6}/128", "dev", "lo"])
    for family in FAMILIES:
        _remove_tproxy(capture, family)


def _add_tproxy(capture: Capture, family: Family) -> None:
    """Packets with the mark are for this machine, whatever their address."""
    table = str(capture.tproxy_table)
    if not list(_tproxy_rules(capture, family)):
        run(["ip", f"-{family}", "rule", "add", "fwmark", str(capture.tproxy_mark), "lookup", table])
    if not _ip(family, "route", "show", "table", table):
        run(["ip", f"-{family}", "route", "add", "local", "default", "dev", "lo", "table", table])


def _remove_tproxy(capture: Capture, family: Family) -> None:
    table = str(capture.tproxy_table)
    for _ in _tproxy_rules(capture, family):
        run(["ip", f"-{family}", "rule", "delete", "fwmark", str(capture.tproxy_mark), "lookup", table])
        if _ip(family, "route", "show", "table", table):
            run(["ip", f"-{family}", "route", "flush", "table", table])


def _tproxy_rules(capture: Capture, family: Family) -> Iterator[Any]:
    for row in _ip(family, "rule", "show"):
        if row.get("fwmark") == hex(capture.tproxy_mark) and row.get("table") == str(capture.tproxy_table):
            yield row


def _passthrough_address() -> bool:
    rows = _ip(6, "address", "show", "dev", "lo")
    return any(info.get("local") == PASSTHROUGH_V6 for row in rows for info in row.get("addr_info", ()))


def _ip(family: Family, *arguments: str) -> list[Any]:
    """What iproute2 knows; an absent table has nothing."""
    try:
        return list(json.loads(run(["ip", f"-{family}", "-json", *arguments]) or "[]"))
    except CaptureError as error:
        if "FIB table does not exist" in str(error):
            return []
        raise


def _version(text: str) -> int:
    try:
        return ip_address(text).version
    except ValueError:
        return 0
