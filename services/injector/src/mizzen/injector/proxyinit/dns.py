"""Rules that send DNS to the proxy.

They stand in nat and in raw: a query of the application and the proxy's own may have the same source port, so each
gets its own zone of connection tracking.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mizzen.injector.proxyinit.rules import INBOUND, OUTPUT, OUTPUT_DNS, Rule, append
from mizzen.injector.proxyinit.settings import Capture

LISTENER_PORT: Final = 15053
_PROXY_ZONE: Final = 1
"""Between the proxy and DNS servers."""
_APPLICATION_ZONE: Final = 2
"""Between applications and the proxy."""


def redirect_dns(capture: Capture, servers: tuple[str, ...]) -> Iterator[Rule]:
    """The part of nat; `servers` are addresses of one family."""
    if not capture.redirect_dns or not (capture.capture_all_dns or servers):
        return
    yield append(OUTPUT, f"-j {OUTPUT_DNS}")
    for protocol in ("tcp", "udp"):
        for destination in _each(capture, servers, "-d"):
            spec = f"-p {protocol} --dport 53{destination} -j REDIRECT --to-ports {LISTENER_PORT}"
            yield append(OUTPUT_DNS, spec)


def raw_rules(capture: Capture, servers: tuple[str, ...]) -> Iterator[Rule]:
    """The table raw."""
    if not capture.redirect_dns:
        return
    yield append("OUTPUT", f"-j {OUTPUT_DNS}")
    owners = [f"--uid-owner {uid}" for uid in capture.uids] + [f"--gid-owner {gid}" for gid in capture.gids]
    for owner in owners:
        yield append(OUTPUT_DNS, f"-p udp --dport 53 -m owner {owner} -j CT --zone {_PROXY_ZONE}")
        yield append(OUTPUT_DNS, f"-p udp --sport {LISTENER_PORT} -m owner {owner} -j CT --zone {_APPLICATION_ZONE}")
    if not capture.capture_all_dns and not servers:
        return
    yield append("PREROUTING", f"-j {INBOUND}")
    for destination in _each(capture, servers, "-d"):
        yield append(OUTPUT_DNS, f"-p udp --dport 53{destination} -j CT --zone {_APPLICATION_ZONE}")
    for source in _each(capture, servers, "-s"):
        yield append(INBOUND, f"-p udp --sport 53{source} -j CT --zone {_PROXY_ZONE}")


def _each(capture: Capture, servers: tuple[str, ...], flag: str) -> list[str]:
    """A match for each server, or one that matches any."""
    if capture.capture_all_dns:
        return [""]
    return [f" {flag} {server}/{128 if ':' in server else 32}" for server in servers]
