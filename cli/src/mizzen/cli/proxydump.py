"""A proxy's `/config_dump` and `/clusters` (Envoy's JSON) as rows."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cryptography.x509 import load_pem_x509_certificate

Json = Mapping[str, Any]
Row = dict[str, Any]


def listener_rows(dump: Json) -> list[Row]:
    """Name, address, and where connections go."""
    found = [
        *(item["active_state"]["listener"] for item in _all(dump, "ListenersConfigDump", "dynamic_listeners")
          if "active_state" in item),
        *(item["listener"] for item in _all(dump, "ListenersConfigDump", "static_listeners")),
    ]  # fmt: skip
    rows = [
        {"name": item.get("name", ""), "address": _socket(item.get("address", {})), "destination": _destination(item)}
        for item in found
    ]
    return sorted(rows, key=lambda row: row["name"])


def route_rows(dump: Json) -> list[Row]:
    """One row a virtual host and route: what it matches, where it goes, which object says so."""
    return [
        _route(config, host, route)
        for config in _route_configs(dump)
        for host in config.get("virtual_hosts", ())
        for route in host.get("routes", ())
    ]


def cluster_rows(dump: Json) -> list[Row]:
    """Service, port, subset and direction from Istio's cluster names."""
    clusters = [
        *(item["cluster"] for item in _all(dump, "ClustersConfigDump", "dynamic_active_clusters")),
        *(item["cluster"] for item in _all(dump, "ClustersConfigDump", "static_clusters")),
    ]
    return sorted((_cluster(cluster) for cluster in clusters), key=lambda row: (row["service"], row["name"]))


def endpoint_rows(clusters: Json) -> list[Row]:
    """Endpoint, health and cluster from `/clusters?format=json`."""
    rows = [
        {
            "endpoint": _socket(host.get("address", {})),
            "status": host.get("health_status", {}).get("eds_health_status", "HEALTHY"),
            "cluster": cluster.get("name", ""),
        }
        for cluster in clusters.get("cluster_statuses", ())
        for host in cluster.get("host_statuses", ())
    ]
    return sorted(rows, key=lambda row: (row["cluster"], row["endpoint"]))


def secret_rows(dump: Json) -> list[Row]:
    """Certificates and validation contexts."""
    secrets = (
        (item, state)
        for state, key in (("ACTIVE", "dynamic_active_secrets"), ("WARMING", "dynamic_warming_secrets"))
        for item in _all(dump, "SecretsConfigDump", key)
    )
    return [
        {
            "name": item.get("name", ""),
            "state": state,
            "last_updated": item.get("last_updated", ""),
            **_certificate(item.get("secret", {})),
            "problem": item.get("error_state", {}).get("details", ""),
        }
        for item, state in secrets
    ]


def _certificate(secret: Json) -> Row:
    """What the first certificate of a secret says; a key is never shown, to nobody."""
    chain = secret.get("tls_certificate", {}).get("certificate_chain")
    kind, source = (
        ("certificate", chain) if chain else ("roots", secret.get("validation_context", {}).get("trusted_ca"))
    )
    row = {"type": kind if source else "", "serial_number": "", "not_before": "", "not_after": ""}
    try:
        first = load_pem_x509_certificate(b64decode((source or {}).get("inline_bytes", "")))
    except ValueError:  # nothing yet, or roots that are a list of revocations alone
        return row
    begins, ends = (
        f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (first.not_valid_before_utc, first.not_valid_after_utc)
    )
    return row | {"serial_number": f"{first.serial_number:x}", "not_before": begins, "not_after": ends}


def _all(dump: Json, section: str, key: str) -> Iterator[Json]:
    for part in dump.get("configs", ()):
        if part.get("@type", "").endswith(f".{section}"):
            yield from part.get(key, ())


def _route_configs(dump: Json) -> Iterator[Json]:
    for key in ("dynamic_route_configs", "static_route_configs"):
        for item in _all(dump, "RoutesConfigDump", key):
            yield item.get("route_config", {})


def _socket(address: Json) -> str:
    socket = address.get("socket_address")
    if socket is None:
        return str(address.get("pipe", {}).get("path", ""))
    return f"{socket.get('address', '')}:{socket.get('port_value', 0)}"


def _filters(listener: Json) -> Iterator[Json]:
    chains: Iterable[Json] = (*listener.get("filter_chains", ()), listener.get("default_filter_chain", {}))
    for chain in chains:
        for item in chain.get("filters", ()):
            yield item.get("typed_config", {})


def _destination(listener: Json) -> str:
    found = []
    for config in _filters(listener):
        if "rds" in config:
            found.append(f"Route: {config['rds'].get('route_config_name', '')}")
        elif "route_config" in config:
            found.append(f"Inline route: {config['route_config'].get('name', '')}")
        elif "cluster" in config:
            found.append(f"Cluster: {config['cluster']}")
        elif "weighted_clusters" in config:
            found.append(f"Clusters: {_weighted(config['weighted_clusters'])}")
    return ", ".join(dict.fromkeys(found))


def _route(config: Json, host: Json, route: Json) -> Row:
    return {
        "name": config.get("name", ""),
        "virtual_host": host.get("name", ""),
        "domains": ",".join(host.get("domains", ())),
        "match": _match(route.get("match", {})),
        "destination": _route_target(route),
        "origin": _origin(route),
    }


def _match(match: Json) -> str:
    parts = [
        f"{kind} {value.get('regex', '') if isinstance(value, Mapping) else value}"
        for kind, key in (
            ("path", "path"),
            ("prefix", "prefix"),
            ("path prefix", "path_separated_prefix"),
            ("regex", "safe_regex"),
        )
        if (value := match.get(key)) is not None
    ]
    parts += [f"header {header.get('name', '')}" for header in match.get("headers", ())]
    parts += [f"query {item.get('name', '')}" for item in match.get("query_parameters", ())]
    return ", ".join(parts)


def _route_target(route: Json) -> str:
    if "redirect" in route:
        return "redirect"
    if "direct_response" in route:
        return f"response {route['direct_response'].get('status', '')}"
    action = route.get("route", {})
    if "weighted_clusters" in action:
        return _weighted(action["weighted_clusters"])
    return str(action.get("cluster", ""))


def _weighted(weighted: Json) -> str:
    return ", ".join(f"{item.get('weight', 0)}: {item.get('name', '')}" for item in weighted.get("clusters", ()))


def _origin(item: Json) -> str:
    """`VirtualService default/reviews` from Istio's metadata path; empty when Pilot made it up itself."""
    path = item.get("metadata", {}).get("filter_metadata", {}).get("istio", {}).get("config", "")
    parts = path.split("/")  # /apis/<group>/<version>/namespaces/<ns>/<kind>/<name>
    if len(parts) != 8:
        return ""
    kind = "".join(word.capitalize() for word in parts[6].split("-"))
    return f"{kind} {parts[5]}/{parts[7]}"


def _cluster(cluster: Json) -> Row:
    name = cluster.get("name", "")
    parts = name.split("|")
    direction, port, subset, service = parts if len(parts) == 4 else ("", "", "", name)
    return {
        "service": service,
        "port": port,
        "subset": subset,
        "direction": direction,
        "type": cluster.get("type", cluster.get("cluster_type", {}).get("name", "STATIC")),
        "origin": _origin(cluster),
        "name": name,
    }
