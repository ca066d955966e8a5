"""The nat table: outbound connections to the proxy, and inbound ones in the mode REDIRECT.

The order is Istio's, and matters: the first rule that fits ends it.
"""

from __future__ import annotations

from collections.abc import Iterator

from mizzen.injector.proxyinit.dns import redirect_dns
from mizzen.injector.proxyinit.rules import (
    IN_REDIRECT,
    INBOUND,
    OUTPUT,
    REDIRECT,
    Family,
    Rule,
    append,
    insert,
    of_family,
)
from mizzen.injector.proxyinit.settings import Capture

DNS_PORT = 53


def nat_rules(capture: Capture, family: Family, servers: tuple[str, ...]) -> Iterator[Rule]:
    """The table's rules; `servers` are the DNS servers of this family whose traffic is redirected."""
    yield from _interfaces(capture)
    yield append(INBOUND, f"-p tcp --dport {capture.tunnel_port} -j RETURN")
    yield append(REDIRECT, f"-p tcp -j REDIRECT --to-ports {capture.outbound_port}")
    yield append(IN_REDIRECT, f"-p tcp -j REDIRECT --to-ports {capture.inbound_port}")
    if capture.mode == "REDIRECT":
        yield from _inbound(capture)
    yield append("OUTPUT", f"-j {OUTPUT}")
    for port in capture.outbound_ports_exclude:
        yield append(OUTPUT, f"-p tcp --dport {port} -j RETURN")
        yield append(OUTPUT, f"-p udp --dport {port} -j RETURN")
    # The proxy's connections to the application come from this address.
    yield append(OUTPUT, f"-o lo -s {passthrough_source(family)} -j RETURN")
    yield from _proxy_owners(capture, family)
    yield from _application_groups(capture)
    yield from redirect_dns(capture, servers)
    yield append(OUTPUT, f"-d {loopback(capture, family)} -j RETURN")
    for network in of_family(capture.outbound_ranges_exclude, family):
        yield append(OUTPUT, f"-d {network} -j RETURN")
    for port in capture.outbound_ports:
        yield append(OUTPUT, f"-p tcp --dport {port} -j {REDIRECT}")
    yield from _outbound_ranges(capture, family)


def passthrough_source(family: Family) -> str:
    """Where connections of the proxy to its own application come from."""
    return "127.0.0.6/32" if family == 4 else "::6/128"


def loopback(capture: Capture, family: Family) -> str:
    """What an application reaches itself by."""
    return str(capture.loopback) if family == 4 else "::1/128"


def _interfaces(capture: Capture) -> Iterator[Rule]:
    for name in capture.exclude_interfaces:
        yield append("PREROUTING", f"-i {name} -j RETURN")
        yield append("OUTPUT", f"-o {name} -j RETURN")
    # What comes in there is redirected by rules that are inserted above this one; the rest is nobody's inbound.
    for name in capture.virtual_interfaces:
        yield insert("PREROUTING", 1, f"-i {name} -j RETURN")


def _inbound(capture: Capture) -> Iterator[Rule]:
    if not capture.inbound_ports:
        return
    yield append("PREROUTING", f"-p tcp -j {INBOUND}")
    if capture.inbound_ports.every:
        for port in capture.inbound_ports_exclude:
            yield append(INBOUND, f"-p tcp --dport {port} -j RETURN")
        yield append(INBOUND, f"-p tcp -j {IN_REDIRECT}")
    for port in capture.inbound_ports.numbers:
        yield append(INBOUND, f"-p tcp --dport {port} -j {IN_REDIRECT}")


def _proxy_owners(capture: Capture, family: Family) -> Iterator[Rule]:
    own_dns = f"-m multiport ! --dports {DNS_PORT},{capture.tunnel_port}"
    tunnel = f"! --dport {capture.tunnel_port}"
    owners = [("uid", uid, own_dns if capture.redirect_dns else tunnel) for uid in capture.uids]
    owners += [("gid", gid, tunnel) for gid in capture.gids]
    own = loopback(capture, family)
    for kind, number, ports in owners:
        owner = f"--{kind}-owner {number}"
        # The proxy calls its own pod, by the pod's or a service's address: through the inbound side, for its policy.
        yield append(OUTPUT, f"-o lo ! -d {own} -p tcp {ports} -m owner {owner} -j {IN_REDIRECT}")
        # The application calls itself by an address that is not a service's. A resolver on loopback is no such call.
        if not capture.outbound_ranges.loopback:
            what = f"-p tcp ! --dport {DNS_PORT} " if capture.redirect_dns else ""
            yield append(OUTPUT, f"-o lo {what}-m owner ! {owner} -j RETURN")
        # What the proxy sends leaves the pod, or it would go around for ever.
        yield append(OUTPUT, f"-m owner {owner} -j RETURN")


def _application_groups(capture: Capture) -> Iterator[Rule]:
    if capture.owner_groups is None:
        for gid in capture.owner_groups_exclude:
            yield append(OUTPUT, f"-m owner --gid-owner {gid} -j RETURN")
    elif capture.owner_groups:
        none_of = " ".join(f"-m owner ! --gid-owner {gid}" for gid in capture.owner_groups)
        yield append(OUTPUT, f"{none_of} -j RETURN")
    else:
        yield append(OUTPUT, "-j RETURN")


def _outbound_ranges(capture: Capture, family: Family) -> Iterator[Rule]:
    if capture.outbound_ranges.every:
        yield append(OUTPUT, f"-j {REDIRECT}")
        for name in capture.virtual_interfaces:
            yield insert("PREROUTING", 1, f"-i {name} -j {REDIRECT}")
    for network in of_family(capture.outbound_ranges, family):
        for name in capture.virtual_interfaces:
            yield insert("PREROUTING", 1, f"-i {name} -d {network} -j {REDIRECT}")
        yield append(OUTPUT, f"-d {network} -j {REDIRECT}")
