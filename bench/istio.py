"""A scenario as the Kubernetes and Istio YAML that Pilot reads; Mizzen and Envoy both get what Pilot makes of it."""

from __future__ import annotations

from typing import Any

import yaml

from bench import scenario as s
from bench.scenario import Address, Route, Scenario
from mizzen.cli.local.security import TLS_LABEL

Resource = dict[str, Any]
GATEWAY_PORT = 8080
BULK_PORT = 9400
GATEWAY_LABELS = {"istio": "ingressgateway"}


def render(scenario: Scenario) -> str:
    """All resources as one YAML stream."""
    if scenario.bulk:
        resources = _bulk(scenario.bulk)
    else:
        resources = [r for index in range(scenario.services) for r in _service(scenario, index)]
    if scenario.role == "router":
        resources.append(_gateway())
    if scenario.mutual:
        resources += _security()
    return yaml.safe_dump_all(resources, sort_keys=False)


CLIENT, SERVER = "bench-client", "bench-server"
"""ServiceAccounts of the two sidecars of a scenario with mutual TLS."""
MESH_WITH_MUTUAL_TLS = "enableAutoMtls: true\n"
MIXER_HOST = "istio-policy.istio-system.svc.cluster.local"
MESH_WITH_CHECKS = f"""\
mixerCheckServer: {MIXER_HOST}:9091
disablePolicyChecks: false
enableClientSidePolicyCheck: true
"""


def render_mixer(address: Address) -> str:
    """Mixer as a service of the mesh."""
    spec = {
        "hosts": [MIXER_HOST],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "ports": [{"number": 9091, "name": "grpc-mixer", "protocol": "GRPC"}],
        "endpoints": [{"address": address.host, "ports": {"grpc-mixer": address.port}}],
    }
    return yaml.safe_dump(_resource("networking.istio.io/v1", "ServiceEntry", "istio-policy", spec=spec))


def _resource(api_version: str, kind: str, name: str, **body: Any) -> Resource:
    metadata = {"name": name, "namespace": "default", **body.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}


def _service(scenario: Scenario, index: int) -> list[Resource]:
    name = scenario.service(index)
    port = {"name": "http", "port": scenario.SERVICE_PORT}
    subsets = [{"name": version, "labels": {"version": version}} for version in s.VERSIONS]
    # A ServiceEntry carries labelled endpoints by itself: no pods are needed to tell the versions apart.
    able = TLS_LABEL if scenario.mutual else {}
    endpoints = [
        {
            "address": address.host,
            "ports": {"http": address.port},
            "labels": {"version": version, **able},
            **({"serviceAccount": SERVER} if scenario.mutual else {}),
        }
        for version in s.VERSIONS
        for address in scenario.endpoints
    ]
    host = f"{name}.default.svc.cluster.local"
    service_entry = {
        "hosts": [host],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "ports": [{"number": port["port"], "name": "http", "protocol": "HTTP"}],
        "endpoints": endpoints,
    }
    balance = {"loadBalancer": {"simple": "ROUND_ROBIN"}}
    virtual_service: Resource = {"hosts": [scenario.domain(index)], "http": [_route(host, r) for r in s.ROUTES]}
    if scenario.role == "router":
        virtual_service["gateways"] = ["bench"]
    api = "networking.istio.io/v1"
    return [
        _resource(api, "ServiceEntry", name, spec=service_entry),
        _resource(api, "DestinationRule", name, spec={"host": host, "trafficPolicy": balance, "subsets": subsets}),
        _resource(api, "VirtualService", name, spec=virtual_service),
    ]


def _route(host: str, route: Route) -> Resource:
    match: Resource = {"uri": {"prefix": route.prefix}}
    if route.header:
        match["headers"] = {route.header[0]: {"exact": route.header[1]}}
    destinations = [
        {"destination": {"host": host, "subset": version, "port": {"number": Scenario.SERVICE_PORT}}, "weight": weight}
        for version, weight in route.versions.items()
    ]
    return {
        "name": route.name,
        "match": [match],
        "route": destinations,
        "timeout": f"{s.TIMEOUT_SECONDS}s",
        "retries": {"attempts": s.RETRIES, "retryOn": "connect-failure"},
        "headers": {
            "request": {"set": s.REQUEST_SET, "remove": list(s.REQUEST_REMOVE)},
            "response": {"set": s.RESPONSE_SET, "remove": list(s.RESPONSE_REMOVE)},
        },
    }


def _gateway() -> Resource:
    server = {"port": {"number": GATEWAY_PORT, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    spec = {"selector": GATEWAY_LABELS, "servers": [server]}
    return _resource("networking.istio.io/v1", "Gateway", "bench", spec=spec)


def _security() -> list[Resource]:
    """Mutual TLS alone, and a policy that the measured request passes by its client, method and path."""
    api = "security.istio.io/v1"
    client = {"source": {"principals": [f"cluster.local/ns/default/sa/{CLIENT}"]}}
    operation = {"operation": {"methods": ["GET"], "paths": ["/api/*"]}}
    policy = {"selector": {"matchLabels": {"app": "bench"}}, "rules": [{"from": [client], "to": [operation]}]}
    return [
        _resource(api, "PeerAuthentication", "default", spec={"mtls": {"mode": "STRICT"}}),
        _resource(api, "AuthorizationPolicy", "bench", spec=policy),
    ]


def _bulk(source: Address) -> list[Resource]:
    """A TCP service, and a Sidecar whose egress listener leads to it."""
    api = "networking.istio.io/v1"
    host = "bulk.default.svc.cluster.local"
    port = {"number": BULK_PORT, "name": "tcp-bulk", "protocol": "TCP"}
    service_entry = {
        "hosts": [host],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "ports": [port],
        "endpoints": [{"address": source.host, "ports": {"tcp-bulk": source.port}}],
    }
    egress = {"port": port, "captureMode": "NONE", "hosts": [f"./{host}"]}
    return [
        _resource(api, "ServiceEntry", "bulk", spec=service_entry),
        _resource(api, "Sidecar", "default", spec={"egress": [egress]}),
    ]
