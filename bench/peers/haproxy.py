"""HAProxy, with the scenario's routes in its own language."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from bench import scenario as s
from bench.istio import BULK_PORT, GATEWAY_PORT
from bench.peers.peer import Peer
from bench.process import Process
from bench.scenario import Address, Scenario

GLOBAL = """
global
  nbthread 1
  maxconn 8192
defaults
  timeout connect 10s
  timeout client 1h
  timeout server {timeout}s
  retries {retries}
  retry-on conn-failure
"""


class Haproxy(Peer):
    """One thread, no log; counters are always on."""

    def __init__(self, program: str, scenario: Scenario, address: str, folder: Path, core: set[int]) -> None:
        port = BULK_PORT if scenario.bulk else GATEWAY_PORT
        config = folder / "haproxy.cfg"
        if scenario.bulk:
            config.write_text(_tcp(Address(address, port), scenario.bulk))
        else:
            hosts = folder / "haproxy-hosts.map"
            hosts.write_text("".join(f"{scenario.domain(i)} {scenario.service(i)}\n" for i in range(scenario.services)))
            config.write_text(_http(scenario, Address(address, port), hosts))
        process = Process("haproxy", [program, "-db", "-f", str(config)], core, folder)
        super().__init__(_version(program), Address(address, port), process)


def _version(program: str) -> str:
    out = subprocess.run([program, "-v"], capture_output=True, text=True, timeout=10, check=True).stdout
    found = re.search(r"version (\d+\.\d+\.\d+)", out)
    return f"haproxy-{found[1]}" if found else "haproxy"


def _http(scenario: Scenario, bind: Address, hosts: Path) -> str:
    lines = [
        GLOBAL.format(timeout=s.TIMEOUT_SECONDS, retries=s.RETRIES),
        "frontend in",
        "  mode http",
        f"  bind {bind}",
    ]
    lines.append(f"  http-request set-var(txn.service) req.hdr(host),field(1,:),lower,map({hosts})")
    for route in s.ROUTES:
        conditions = [f"{{ path_beg {route.prefix} }}", "!{ var(txn.route) -m found }"]
        if route.header:
            conditions.append(f"{{ req.hdr({route.header[0]}) -m str {route.header[1]} }}")
        lines.append(f"  http-request set-var(txn.route) str({route.name}) if {' '.join(conditions)}")
    # What Envoy and Mizzen add by themselves.
    lines.append("  http-request set-header x-request-id %[uuid()] if !{ req.hdr(x-request-id) -m found }")
    lines.append("  http-request set-header x-forwarded-proto http")
    if scenario.role == "router":
        lines.append("  option forwardfor")
    lines += [f"  http-request set-header {name} {value}" for name, value in s.REQUEST_SET.items()]
    lines += [f"  http-request del-header {name}" for name in s.REQUEST_REMOVE]
    lines += [f"  http-response set-header {name} {value}" for name, value in s.RESPONSE_SET.items()]
    lines += [f"  http-response del-header {name}" for name in s.RESPONSE_REMOVE]
    lines.append("  use_backend %[var(txn.service)]-%[var(txn.route)]")
    for index in range(scenario.services):
        for route in s.ROUTES:
            lines += [f"backend {scenario.service(index)}-{route.name}", "  mode http", "  http-reuse always"]
            lines += [
                f"  server {version}-{number} {endpoint} weight {weight}"
                for version, weight in route.versions.items()
                for number, endpoint in enumerate(scenario.endpoints)
            ]
    return "\n".join([*lines, ""])


def _tcp(bind: Address, source: Address) -> str:
    head = GLOBAL.format(timeout=3600, retries=s.RETRIES).replace("  retry-on conn-failure\n", "")
    return f"{head}\nlisten bulk\n  mode tcp\n  bind {bind}\n  server source {source}\n"
