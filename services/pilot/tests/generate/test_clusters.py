"""Clusters: names, discovery, and what DestinationRules put on them."""

from typing import Any

import pytest
import yaml
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from google.protobuf import json_format

OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
REVIEWS = "reviews.default.svc.cluster.local"
SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{port: 80, name: http}, {port: 81, name: grpc}, {port: 82, name: odd}, {port: 83, name: tcp}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, ports: [{port: 80, name: http}, {port: 53, name: dns, protocol: UDP}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web}
spec: {hosts: [www.example.com], resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS, targetPort: 8443}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: one}
spec: {hosts: [one.example.com], resolution: DNS_ROUND_ROBIN, ports: [{number: 80, name: http, protocol: HTTP}]}
"""


def rule(policy: dict[str, Any], host: str = "reviews", **spec: Any) -> str:
    meta = {"name": "r"}
    whole = {"host": host, "trafficPolicy": policy, **spec}
    return yaml.safe_dump(
        {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": meta, "spec": whole}
    )


def cluster(world: Any, proxy: Any, policy: dict[str, Any], port: int = 80) -> Any:
    return world(SERVICES, rule(policy)).clusters(proxy)[f"outbound|{port}||{REVIEWS}"]


def options(message: Any) -> Any:
    unpacked = http_protocol_options_pb2.HttpProtocolOptions()
    assert message.typed_extension_protocol_options[OPTIONS].Unpack(unpacked)
    return unpacked


def test_names_and_discovery(world: Any, sidecar: Any, router: Any) -> None:
    found = world(SERVICES).clusters(sidecar())
    kinds = {name: message.DiscoveryType.Name(message.type) for name, message in found.items()}
    assert kinds == {
        **{f"outbound|{port}||{REVIEWS}": "EDS" for port in (80, 81, 82, 83)},
        "outbound|80||headless.default.svc.cluster.local": "ORIGINAL_DST",
        "outbound|443||www.example.com": "STRICT_DNS",
        "outbound|80||one.example.com": "LOGICAL_DNS",
        "BlackHoleCluster": "STATIC",
        "PassthroughCluster": "ORIGINAL_DST",
        "InboundPassthroughCluster": "ORIGINAL_DST",
    }
    for elsewhere in (sidecar(INTERCEPTION_MODE="NONE"), router(), sidecar(GENERATOR="grpc")):
        headless = world(SERVICES).clusters(elsewhere)["outbound|80||headless.default.svc.cluster.local"]
        assert headless.type == headless.EDS, "who was not asked for one pod finds them all"
    endpoint = found["outbound|443||www.example.com"].load_assignment.endpoints[0].lb_endpoints[0].endpoint
    assert endpoint.address.socket_address.port_value == 8443


def test_what_every_cluster_has(world: Any, sidecar: Any) -> None:
    message = world(SERVICES).clusters(sidecar())[f"outbound|80||{REVIEWS}"]
    assert message.eds_cluster_config.service_name == message.name
    assert message.connect_timeout.seconds == 10
    assert message.lb_policy == message.LEAST_REQUEST
    assert message.alt_stat_name == message.name + ";"
    (threshold,) = message.circuit_breakers.thresholds
    assert {threshold.max_connections.value, threshold.max_retries.value} == {2**32 - 1}
    assert json_format.MessageToDict(message.metadata)["filterMetadata"]["istio"] == {
        "services": [{"host": REVIEWS, "name": "reviews", "namespace": "default"}],
        "default_original_port": 80.0,
    }


def test_protocols(world: Any, sidecar: Any) -> None:
    found = world(SERVICES).clusters(sidecar())
    kinds = {port: options(found[f"outbound|{port}||{REVIEWS}"]) for port in (80, 81, 82)}
    assert kinds[80].explicit_http_config.http_protocol_options.header_key_format.HasField("stateful_formatter")
    assert kinds[81].explicit_http_config.HasField("http2_protocol_options")
    both = kinds[82].use_downstream_protocol_config
    assert both.http_protocol_options.header_key_format.HasField("stateful_formatter")
    assert both.HasField("http2_protocol_options")


BALANCERS = [
    ({"simple": "UNSPECIFIED"}, {"lbPolicy": "LEAST_REQUEST"}),
    ({"simple": "LEAST_CONN"}, {"lbPolicy": "LEAST_REQUEST"}),
    ({"simple": "RANDOM"}, {"lbPolicy": "RANDOM"}),
    ({"simple": "ROUND_ROBIN"}, {}),
    ({"simple": "PASSTHROUGH"}, {"lbPolicy": "CLUSTER_PROVIDED", "type": "ORIGINAL_DST"}),
    ({"consistentHash": {"useSourceIp": True}},
     {"lbPolicy": "RING_HASH", "ringHashLbConfig": {"minimumRingSize": "1024"}}),
    ({"consistentHash": {"useSourceIp": True, "minimumRingSize": 9}},
     {"lbPolicy": "RING_HASH", "ringHashLbConfig": {"minimumRingSize": "9"}}),
    ({"consistentHash": {"useSourceIp": True, "ringHash": {"minimumRingSize": 7}}},
     {"lbPolicy": "RING_HASH", "ringHashLbConfig": {"minimumRingSize": "7"}}),
    ({"consistentHash": {"useSourceIp": True, "maglev": {"tableSize": 101}}},
     {"lbPolicy": "MAGLEV", "maglevLbConfig": {"tableSize": "101"}}),
    ({"simple": "ROUND_ROBIN", "warmup": {"duration": "30s", "aggression": 2}},
     {"roundRobinLbConfig": {"slowStartConfig": {
         "slowStartWindow": "30s", "aggression": {"defaultValue": 2.0, "runtimeKey": "slow_start.aggression"},
         "minWeightPercent": {"value": 10.0}}}}),
]  # fmt: skip


@pytest.mark.parametrize(("balancer", "expected"), BALANCERS)
def test_balancers(world: Any, sidecar: Any, balancer: dict[str, Any], expected: dict[str, Any]) -> None:
    found = json_format.MessageToDict(cluster(world, sidecar(), {"loadBalancer": balancer}))
    keys = ("lbPolicy", "ringHashLbConfig", "maglevLbConfig", "roundRobinLbConfig")
    assert {key: found[key] for key in keys if key in found} == {k: v for k, v in expected.items() if k != "type"}
    assert found["type"] == expected.get("type", "EDS")


def test_pools(world: Any, sidecar: Any) -> None:
    tcp = {
        "maxConnections": 7, "connectTimeout": "3s", "maxConnectionDuration": "60s",
        "tcpKeepalive": {"probes": 3, "time": "60s", "interval": "5s"},
    }  # fmt: skip
    http = {
        "http1MaxPendingRequests": 1, "http2MaxRequests": 2, "maxRetries": 3, "maxRequestsPerConnection": 4,
        "idleTimeout": "5s", "h2UpgradePolicy": "UPGRADE", "maxConcurrentStreams": 6,
    }  # fmt: skip
    policy = {"connectionPool": {"tcp": tcp, "http": http}, "retryBudget": {"percent": 30}}
    message = cluster(world, sidecar(), policy)
    (threshold,) = message.circuit_breakers.thresholds
    assert (threshold.max_connections.value, threshold.max_pending_requests.value) == (7, 1)
    assert (threshold.max_requests.value, threshold.HasField("max_retries")) == (2, False)
    assert (threshold.retry_budget.budget_percent.value, threshold.retry_budget.min_retry_concurrency.value) == (30, 3)
    assert message.connect_timeout.seconds == 3
    assert message.upstream_connection_options.tcp_keepalive.keepalive_time.value == 60
    chosen = options(message)
    assert chosen.explicit_http_config.http2_protocol_options.max_concurrent_streams.value == 6
    common = chosen.common_http_protocol_options
    assert (common.idle_timeout.seconds, common.max_requests_per_connection.value) == (5, 4)
    assert common.max_connection_duration.seconds == 60


OUTLIERS = [
    ({}, {"enforcingSuccessRate": 0}),
    ({"consecutive5xxErrors": 0}, {"enforcingSuccessRate": 0, "consecutive5xx": 0, "enforcingConsecutive5xx": 0}),
    ({"consecutive5xxErrors": 3}, {"enforcingSuccessRate": 0, "consecutive5xx": 3, "enforcingConsecutive5xx": 100}),
    ({"consecutiveGatewayErrors": 2, "interval": "1s"},
     {"enforcingSuccessRate": 0, "consecutiveGatewayFailure": 2, "enforcingConsecutiveGatewayFailure": 100,
      "interval": "1s"}),
    ({"baseEjectionTime": "9s", "maxEjectionPercent": 50},
     {"enforcingSuccessRate": 0, "baseEjectionTime": "9s", "maxEjectionPercent": 50}),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "expected"), OUTLIERS)
def test_outlier_detection(world: Any, sidecar: Any, settings: dict[str, Any], expected: dict[str, Any]) -> None:
    found = json_format.MessageToDict(cluster(world, sidecar(), {"outlierDetection": settings}))
    assert found["outlierDetection"] == expected
    assert found["commonLbConfig"]["healthyPanicThreshold"] == {}


def test_subsets(world: Any, sidecar: Any) -> None:
    subsets = [{"name": "v1", "labels": {"version": "v1"}},
               {"name": "v2", "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}}]  # fmt: skip
    made = world(SERVICES, rule({"loadBalancer": {"simple": "ROUND_ROBIN"}}, subsets=subsets))
    found = made.clusters(sidecar())
    v1, v2 = (found[f"outbound|80|{name}|{REVIEWS}"] for name in ("v1", "v2"))
    assert (v1.lb_policy, v2.lb_policy) == (v1.ROUND_ROBIN, v1.RANDOM)
    facts = v2.metadata.filter_metadata["istio"]
    assert facts["subset"] == "v2"
    assert facts["config"] == "/apis/networking.istio.io/v1/namespaces/default/destination-rule/r"


def tls(message: Any) -> Any:
    context = tls_pb2.UpstreamTlsContext()
    assert message.transport_socket.typed_config.Unpack(context)
    return context


def by_host(message: Any) -> tuple[bool, bool]:
    """Whether requests' hosts are asked for, and must be proved."""
    http = options(message).upstream_http_protocol_options
    return http.auto_sni, http.auto_san_validation


def roots(common: Any) -> str:
    config = common.combined_validation_context.validation_context_sds_secret_config
    (service,) = config.sds_config.api_config_source.grpc_services
    assert service.envoy_grpc.cluster_name == "sds-grpc"
    return str(config.name)


def test_simple_tls_verifies_against_the_system_and_the_host(world: Any, sidecar: Any) -> None:
    message = cluster(world, sidecar(), {"tls": {"mode": "SIMPLE"}})
    assert roots(tls(message).common_tls_context) == "file-root:system"
    assert by_host(message) == (True, True)


def test_tls_as_stated(world: Any, sidecar: Any) -> None:
    settings = {"mode": "SIMPLE", "sni": "a.com", "caCertificates": "/ca.pem", "subjectAltNames": ["a.com"]}
    message = cluster(world, sidecar(), {"tls": settings | {"caCrl": "/crl.pem"}}, port=81)
    context = tls(message)
    validation = context.common_tls_context.combined_validation_context.default_validation_context
    assert (context.sni, roots(context.common_tls_context)) == ("a.com", "file-root:/ca.pem")
    assert validation.match_typed_subject_alt_names[0].matcher.exact == "a.com"
    assert validation.crl.filename == "/crl.pem"
    assert list(context.common_tls_context.alpn_protocols) == ["h2"]
    assert by_host(message) == (False, False)


def test_names_that_are_stated_must_be_proved_in_place_of_the_requests_host(world: Any, sidecar: Any) -> None:
    message = cluster(world, sidecar(), {"tls": {"mode": "SIMPLE", "subjectAltNames": ["a.com"]}})
    assert by_host(message) == (True, False)


def test_mutual_tls_of_a_rule_shows_a_certificate_in_files(world: Any, sidecar: Any) -> None:
    files = {"clientCertificate": "/a/tls.crt", "privateKey": "/a/tls.key", "caCertificates": "/a/ca.pem"}
    common = tls(cluster(world, sidecar(), {"tls": {"mode": "MUTUAL"} | files})).common_tls_context
    assert [config.name for config in common.tls_certificate_sds_secret_configs] == ["file-cert:/a/tls.crt~/a/tls.key"]
    assert roots(common) == "file-root:/a/ca.pem"


def test_tls_without_verification_and_without_tls(world: Any, sidecar: Any) -> None:
    insecure = cluster(world, sidecar(), {"tls": {"mode": "SIMPLE", "insecureSkipVerify": True}})
    assert tls(insecure).common_tls_context.WhichOneof("validation_context_type") is None
    assert by_host(insecure) == (True, False)
    for mode in ("DISABLE", "ISTIO_MUTUAL"):
        assert not cluster(world, sidecar(), {"tls": {"mode": mode}}).HasField("transport_socket")
