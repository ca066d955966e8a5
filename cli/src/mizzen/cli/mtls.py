"""Pilot's `/debug/mtlsz` and proxies' metrics as rows: who talks plain text to whom, and whether STRICT is safe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

COUNTERS: Final = ("istio_requests_total", "istio_tcp_connections_opened_total")
OURS: Final = ("istio_", "mizzen_")
"""What names of metrics begin with that a stock Envoy has none of."""
ENCRYPTED: Final = "mutual_tls"
STRICT: Final = "STRICT"

Plain = Mapping[str, int]
"""Requests and connections that came in plain text, by who sent them."""


def plain_sources(exposition: str) -> Plain | None:
    """From a server's metrics; None where it does not tell, as a stock Envoy without Istio's statistics."""
    found: dict[str, int] = {}
    ours = names_envoy = False
    for family in text_string_to_metric_families(exposition):
        ours |= family.name.startswith(OURS)
        names_envoy |= family.name.startswith("envoy_")
        for sample in family.samples:
            if sample.name not in COUNTERS or sample.labels.get("reporter") != "destination":
                continue
            if sample.labels.get("connection_security_policy") != ENCRYPTED:
                name = _source(sample.labels)
                found[name] = found.get(name, 0) + int(sample.value)
    return None if names_envoy and not ours else {name: count for name, count in found.items() if count}


def since(before: Plain | None, after: Plain | None) -> Plain | None:
    """What came between two looks at the same proxy."""
    if before is None or after is None:
        return after
    return {name: count - before.get(name, 0) for name, count in after.items() if count > before.get(name, 0)}


def mtls_rows(ports: Iterable[Mapping[str, Any]], plain: Mapping[str, Plain | None]) -> list[dict[str, Any]]:
    """One row for each port of a service; `plain` is by the proxy's name, and None where nothing is known."""
    return [_row(port, plain) for port in ports]


def _row(port: Mapping[str, Any], plain: Mapping[str, Plain | None]) -> dict[str, Any]:
    workloads = port["workloads"]
    modes = sorted({each["mode"] for each in workloads})
    sources: dict[str, int] = {}
    for name in {each["proxy"] for each in workloads if each["proxy"]}:
        for source, count in (plain.get(name) or {}).items():
            sources[source] = sources.get(source, 0) + count
    obstacles = _obstacles(port, plain, sources)
    bare = [_name(each) for each in workloads if _is_bare(each)]
    return {
        "service": port["service"],
        "port": port["port"],
        "mode": ", ".join(modes),
        "decided_by": ", ".join(sorted({each["decidedBy"] or "the default" for each in workloads})),
        "plaintext": ", ".join(f"{name} ({count})" for name, count in sorted(sources.items())) or "-",
        "strict": _without_effect(bare) if len(bare) == len(workloads) else _verdict(modes, obstacles),
        "strict_is_safe": not obstacles,
        "reasons": obstacles,
        "plaintext_sources": sources,
        "workloads": workloads,
    }


def _is_bare(workload: Mapping[str, Any]) -> bool:
    """Nobody is there who would refuse plain text, and clients know it: STRICT changes nothing."""
    return not workload["proxy"] and not workload["certificate"]


def _name(workload: Mapping[str, Any]) -> str:
    return str(workload["proxy"] or workload["workload"] or workload["address"])


def _without_effect(names: list[str]) -> str:
    return f"without effect: {', '.join(dict.fromkeys(names))} has no sidecar"


def _verdict(modes: list[str], obstacles: list[str]) -> str:
    if modes == [STRICT]:
        return f"in force, but {'; '.join(obstacles)}" if obstacles else "in force"
    return f"not safe: {'; '.join(obstacles)}" if obstacles else "safe"


def _obstacles(port: Mapping[str, Any], plain: Mapping[str, Plain | None], sources: Plain) -> list[str]:
    """Why STRICT would cut somebody off, or could; empty when it is safe."""
    found = []
    for each in port["workloads"]:
        if _is_bare(each):
            continue
        name = _name(each)
        if not each["certificate"]:
            found.append(f"{name} has no certificate")
        elif not each["proxy"]:
            found.append(f"no proxy at {each['address']} is connected to Pilot")
        elif plain.get(name) is None and each["mode"] != STRICT:
            found.append(f"{name} does not tell who calls in plain text")
        if each["switching"]:
            found.append(f"{each['address']} is being switched" + "".join(f", {why}" for why in each["waitsFor"]))
    found += [f"{name} called in plain text" for name in sorted(sources)]
    found += [f"{why}, and would call in plain text" for why in port["clientsInPlainText"]]
    return list(dict.fromkeys(found))


def _source(labels: Mapping[str, str]) -> str:
    workload, namespace = labels.get("source_workload", "unknown"), labels.get("source_workload_namespace", "unknown")
    return "a client without a sidecar" if workload == "unknown" else f"{workload}.{namespace}"
