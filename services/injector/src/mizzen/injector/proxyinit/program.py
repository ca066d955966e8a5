"""The order of it all: read, compare, write, validate."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mizzen.injector.proxyinit import network
from mizzen.injector.proxyinit.flags import read_settings
from mizzen.injector.proxyinit.iptables import CaptureError, Iptables, find_iptables, installed
from mizzen.injector.proxyinit.plan import plan
from mizzen.injector.proxyinit.probe import ProbeError, validate
from mizzen.injector.proxyinit.rules import FAMILIES, Family, Table
from mizzen.injector.proxyinit.settings import Capture, Settings
from mizzen.injector.proxyinit.state import apply_text, compare, parse_save, removal_text
from mizzen.runtime import logs

log = logging.getLogger(__name__)

FAILED: Final = 1
INVALID: Final = 126
"""What Istio's validation container ends with; its repair looks for that."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, 1 when the rules could not be written, 2 for bad flags, 126 for failed validation."""
    settings = read_settings(sys.argv[1:] if arguments is None else arguments, os.environ)
    logs.set_up(settings.log_level)
    try:
        if settings.cleanup_only:
            _clean(settings)
            return 0
        families = network.families(_addresses(settings), dual_stack=settings.dual_stack)
        if not settings.skip_rule_apply:
            _apply(settings, families)
        if settings.run_validation and not settings.dry_run:
            _validate(settings, families)
    except CaptureError as error:
        log.error("%s", error)
        return FAILED
    except ProbeError as error:
        log.error("validation failed: %s", error)
        return INVALID
    return 0


def _addresses(settings: Settings) -> list[network.Address]:
    addresses = network.local_addresses()
    if not addresses and not settings.dry_run:
        raise CaptureError("this network namespace has no address but loopback's: there is nothing to capture yet")
    return addresses


def _apply(settings: Settings, families: tuple[Family, ...]) -> None:
    plans = _plans(settings.capture, families)
    if settings.dry_run:
        for family, tables in plans.items():
            sys.stdout.write(f"# IPv{family}\n{apply_text({}, tables)}")
        return
    backends = {family: find_iptables(family, settings.force_binary) for family in families}
    texts = [(backends[family], _text(settings, backends[family], tables)) for family, tables in plans.items()]
    for backend, text in texts:
        if text:
            backend.restore(text)
    if settings.reconcile and any(text for _, text in texts):
        network.remove_routes(settings.capture)  # of what is replaced
    network.add_routes(settings.capture, families)


def _plans(capture: Capture, families: tuple[Family, ...]) -> dict[Family, tuple[Table, ...]]:
    if not capture.redirect_dns or capture.capture_all_dns:
        return {family: plan(capture, family) for family in families}
    resolv_conf = network.read_resolv_conf()
    servers = {family: network.dns_servers(resolv_conf, family) for family in FAMILIES}
    if not any(servers.values()):
        log.warning("DNS is not captured: resolv.conf names no server (--capture-all-dns captures that of any)")
        capture = replace(capture, redirect_dns=False)
    return {family: plan(capture, family, servers[family]) for family in families}


def _text(settings: Settings, backend: Iptables, tables: Sequence[Table]) -> str:
    """What is to be written; "" when all is there. Raises CaptureError for other rules that are not to be replaced."""
    state = parse_save(backend.save())
    comparison = compare(state, tables)
    if comparison.found == "same" and not settings.force_apply:
        log.info("%s: the rules are there", backend.program())
        return ""
    if comparison.found == "different" and not (settings.reconcile or settings.force_apply):
        lines = [f"lacks {line}" for line in comparison.missing] + [f"has {line}" for line in comparison.unwanted]
        raise CaptureError(
            f"{backend.program()} holds other rules of a mesh; --reconcile replaces them, --cleanup-only removes them. "
            + ("; ".join(lines) or "Only their order differs")
        )
    log.info("%s: writing the rules", backend.program())
    return apply_text(state, tables)


def _clean(settings: Settings) -> None:
    """Remove every rule of a mesh from every back end, and the routes."""
    for family in FAMILIES:
        for backend in installed(family):
            text = removal_text(parse_save(backend.save()))
            if settings.dry_run:
                sys.stdout.write(f"# {backend.program()}\n{text}")
            else:
                log.info("%s: removing the rules", backend.program())
                backend.restore(text)
    if not settings.dry_run:
        network.remove_routes(settings.capture)


def _validate(settings: Settings, families: tuple[Family, ...]) -> None:
    for family in families:
        validate(settings.capture, family, settings.probe_port, settings.probe_seconds, time.monotonic)
        log.info("IPv%d: a connection was redirected to the proxy", family)
