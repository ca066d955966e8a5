"""The mangle table: inbound connections in the mode TPROXY, where the application sees its client's address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mizzen.injector.proxyinit.nat import loopback, passthrough_source
from mizzen.injector.proxyinit.rules import DIVERT, DROP, INBOUND, TPROXY, Family, Rule, append, insert
from mizzen.injector.proxyinit.settings import Capture

OUTBOUND_MARK: Final = 1338
"""Of packets that the proxy's outbound side sends to its own pod, which go through the inbound side."""


def mangle_rules(capture: Capture, family: Family) -> Iterator[Rule]:
    """The table's rules; none in the mode REDIRECT without `drop_invalid`."""
    tproxy = capture.mode == "TPROXY"
    if tproxy:
        for name in capture.exclude_interfaces:
            yield append("PREROUTING", f"-i {name} -j RETURN")
            yield append("OUTPUT", f"-o {name} -j RETURN")
    if capture.drop_invalid:
        yield append("PREROUTING", f"-m conntrack --ctstate INVALID -j {DROP}")
        yield append(DROP, "-j DROP")
    if tproxy:
        yield from _inbound(capture, family)
        yield from _symmetric_routing(capture, family)


def _inbound(capture: Capture, family: Family) -> Iterator[Rule]:
    if not capture.inbound_ports:
        return
    mark, own = capture.tproxy_mark, loopback(capture, family)
    yield append(DIVERT, f"-j MARK --set-mark {mark}")
    yield append(DIVERT, "-j ACCEPT")
    to_proxy = f"-j TPROXY --tproxy-mark {mark}/0xffffffff --on-port {capture.inbound_port}"
    yield append(TPROXY, f"! -d {own} -p tcp {to_proxy}")
    yield append("PREROUTING", f"-p tcp -j {INBOUND}")
    if capture.inbound_ports.every:
        for port in capture.inbound_ports_exclude:
            yield append(INBOUND, f"-p tcp --dport {port} -j RETURN")
        yield from _divert_or_tproxy("")
    for port in capture.inbound_ports.numbers:
        yield from _divert_or_tproxy(f"--dport {port} ")


def _divert_or_tproxy(port: str) -> Iterator[Rule]:
    """A known connection goes to its socket, a new one to the proxy."""
    yield append(INBOUND, f"-p tcp {port}-m conntrack --ctstate RELATED,ESTABLISHED -j {DIVERT}")
    yield append(INBOUND, f"-p tcp {port}-j {TPROXY}")


def _symmetric_routing(capture: Capture, family: Family) -> Iterator[Rule]:
    """The proxy connects to the application from the client's address: what comes back must find the proxy again."""
    mark, own = capture.tproxy_mark, loopback(capture, family)
    yield append("PREROUTING", f"-p tcp -m mark --mark {mark} -j CONNMARK --save-mark")
    yield append("OUTPUT", f"-p tcp -o lo -m mark --mark {mark} -j RETURN")
    owners = [f"--uid-owner {uid}" for uid in capture.uids] + [f"--gid-owner {gid}" for gid in capture.gids]
    for owner in owners:
        yield append("OUTPUT", f"! -d {own} -p tcp -o lo -m owner {owner} -j MARK --set-mark {OUTBOUND_MARK}")
    yield append("OUTPUT", f"-p tcp -m connmark --mark {mark} -j CONNMARK --restore-mark")
    yield insert(INBOUND, 1, f"-p tcp -m mark --mark {mark} -j RETURN")
    yield insert(INBOUND, 2, f"-p tcp -s {passthrough_source(family)} -i lo -j RETURN")
    yield insert(INBOUND, 3, f"-p tcp -i lo -m mark ! --mark {OUTBOUND_MARK} -j RETURN")
