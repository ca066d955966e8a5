"""What the command line makes of Pilot's and the proxies' own pages."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from mizzen.cli.errors import UserError
from mizzen.cli.local.state import MeshState, PodState, SupervisorState
from mizzen.cli.proxydump import cluster_rows, endpoint_rows, listener_rows, route_rows, secret_rows
from mizzen.cli.syncz import sync_rows
from mizzen.cli.workload import admin_host

ADMIN = "type.googleapis.com/envoy.admin.v3"


def dump(section: str, **content: Any) -> dict[str, Any]:
    return {"configs": [{"@type": f"{ADMIN}.BootstrapConfigDump"}, {"@type": f"{ADMIN}.{section}", **content}]}


def address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def listener(name: str, typed_config: dict[str, Any]) -> dict[str, Any]:
    filters = [{"filters": [{"typed_config": typed_config}]}]
    return {"name": name, "address": address("127.1.0.1", 9080), "filter_chains": filters}


def test_listeners_show_where_they_lead() -> None:
    active = [
        {"active_state": {"listener": listener("b", {"rds": {"route_config_name": "http_proxy"}})}},
        {"active_state": {"listener": listener("a", {"cluster": "inbound|9080||"})}},
        {"name": "warming", "warming_state": {}},
    ]
    rows = listener_rows(dump("ListenersConfigDump", dynamic_listeners=active))
    assert rows == [
        {"name": "a", "address": "127.1.0.1:9080", "destination": "Cluster: inbound|9080||"},
        {"name": "b", "address": "127.1.0.1:9080", "destination": "Route: http_proxy"},
    ]


ORIGIN = {
    "filter_metadata": {"istio": {"config": "/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews"}}
}


@pytest.mark.parametrize(
    ("route", "match", "destination"),
    [
        ({"match": {"prefix": "/"}, "route": {"cluster": "c"}}, "prefix /", "c"),
        ({"match": {"path": "/x"}, "redirect": {}}, "path /x", "redirect"),
        ({"match": {"safe_regex": {"regex": "a.*"}}, "direct_response": {"status": 418}}, "regex a.*", "response 418"),
        (
            {
                "match": {"prefix": "/", "headers": [{"name": "end-user"}], "query_parameters": [{"name": "q"}]},
                "route": {
                    "weighted_clusters": {"clusters": [{"name": "a", "weight": 80}, {"name": "b", "weight": 20}]}
                },
            },
            "prefix /, header end-user, query q",
            "80: a, 20: b",
        ),
    ],
)
def test_routes_show_match_destination_and_origin(route: dict[str, Any], match: str, destination: str) -> None:
    config = {
        "name": "http_proxy",
        "virtual_hosts": [{"name": "h", "domains": ["h"], "routes": [route | {"metadata": ORIGIN}]}],
    }
    (row,) = route_rows(dump("RoutesConfigDump", dynamic_route_configs=[{"route_config": config}]))
    assert (row["match"], row["destination"]) == (match, destination)
    assert row["origin"] == "VirtualService default/reviews"


def test_clusters_are_read_from_istios_names() -> None:
    clusters = [
        {"cluster": {"name": "outbound|9080|v1|reviews.default.svc.cluster.local", "type": "EDS"}},
        {"cluster": {"name": "BlackHoleCluster"}},
    ]
    rows = cluster_rows(dump("ClustersConfigDump", dynamic_active_clusters=clusters))
    assert [(row["service"], row["port"], row["subset"], row["direction"]) for row in rows] == [
        ("BlackHoleCluster", "", "", ""),
        ("reviews.default.svc.cluster.local", "9080", "v1", "outbound"),
    ]


def test_endpoints_come_from_the_clusters_page() -> None:
    hosts = [{"address": address("127.1.0.2", 9080), "health_status": {"eds_health_status": "HEALTHY"}}]
    page = {"cluster_statuses": [{"name": "c", "host_statuses": hosts}, {"name": "empty"}]}
    assert endpoint_rows(page) == [{"endpoint": "127.1.0.2:9080", "status": "HEALTHY", "cluster": "c"}]


def test_secrets_are_listed_only_when_there_are_some() -> None:
    assert secret_rows(dump("ListenersConfigDump")) == []
    secrets = [{"name": "default", "last_updated": "now"}]
    assert secret_rows(dump("SecretsConfigDump", dynamic_active_secrets=secrets))[0]["state"] == "ACTIVE"


def self_signed() -> x509.Certificate:
    key, name = generate_private_key(SECP256R1()), x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(datetime(2026, 11, 1, tzinfo=UTC))
    return builder.not_valid_after(datetime(2026, 12, 1, tzinfo=UTC)).sign(key, SHA256())


def test_secrets_say_until_when_they_are_good() -> None:
    certificate = self_signed()
    pem = certificate.public_bytes(Encoding.PEM)
    chain = {"certificate_chain": {"inline_bytes": b64encode(pem).decode()}, "private_key": {"inline_string": "[x]"}}
    waiting = {"name": "kubernetes://bank", "error_state": {"details": "no such secret"}}
    rows = secret_rows(
        dump(
            "SecretsConfigDump",
            dynamic_active_secrets=[{"name": "kubernetes://shop", "secret": {"tls_certificate": chain}}],
            dynamic_warming_secrets=[waiting],
        )
    )
    assert [(row["name"], row["type"], row["state"]) for row in rows] == [
        ("kubernetes://shop", "certificate", "ACTIVE"),
        ("kubernetes://bank", "", "WARMING"),
    ]
    assert rows[0]["serial_number"] == f"{certificate.serial_number:x}"
    assert rows[0]["not_after"] == "2026-12-01T00:00:00Z"
    assert rows[1]["problem"] == "no such secret"


def test_sync_rows_name_state_refusal_and_what_is_not_enforced() -> None:
    client = {
        "proxy": "web-1.default",
        "node_id": "sidecar~127.1.0.1~web-1.default~default.svc.cluster.local",
        "types": {
            "CDS": {"status": "SYNCED", "failures": {"outbound|80||a": "KeyError"}},
            "LDS": {"status": "ERROR", "error": "port taken"},
        },
        "unsupported": [{"field": "mirror", "origin": "VirtualService default/x", "count": 2}, {"field": "cors"}],
    }
    (row,) = sync_rows([client])
    assert (row["cds"], row["lds"], row["rds"]) == ("SYNCED", "ERROR", "IGNORED")
    assert row["unsupported"] == 3
    assert row["errors"] == ["LDS: port taken", "CDS: Pilot cannot generate outbound|80||a: KeyError"]


MESH = MeshState(
    "python",
    "running",
    SupervisorState(1, ""),
    pods=(
        PodState("default", "web-1", "web", "127.1.0.1", "127.2.0.1", True),
        PodState("default", "web-2", "web", "127.1.0.2", "127.2.0.2", True),
        PodState("shop", "web-1", "web", "127.1.0.3", "127.2.0.3", True),
    ),
)


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("web", "127.1.0.1"),
        ("web-2", "127.1.0.2"),
        ("web.shop", "127.1.0.3"),
        ("web-1.shop", "127.1.0.3"),
        ("istio-ingressgateway", "127.0.1.10"),
        ("istio-ingressgateway.istio-system", "127.0.1.10"),
    ],
)
def test_a_workload_is_found_by_deployment_or_pod(name: str, host: str) -> None:
    assert admin_host(MESH, name) == host


def test_an_unknown_workload_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="the workloads are istio-ingressgateway, web"):
        admin_host(MESH, "nobody")
