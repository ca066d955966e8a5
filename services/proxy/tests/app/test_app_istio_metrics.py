"""Labels of Istio's metrics."""

from __future__ import annotations

from base64 import b64encode

from mizzen.proto.attributes_pb2 import Attributes
from mizzen.proxy.app.istio_metrics import labelled
from mizzen.proxy.app.node import Node
from mizzen.proxy.app.prometheus import exposition
from mizzen.proxy.app.stats_page import Selection
from mizzen.proxy.engine.control import Stats
from mizzen.proxy.engine.plan import ClusterPlan
from mizzen.proxy.io.telemetry import Key, Telemetry
from mizzen.proxy.snapshot.store import Held, Store

NODE = Node.of(
    role="sidecar",
    ip="127.0.0.1",
    name="productpage-1.default",
    domain="default.svc.cluster.local",
    cluster="",
    metadata={"NAMESPACE": "default", "LABELS": {"app": "productpage", "version": "v1"}},
)
CLUSTER = "outbound|9080||reviews.default.svc.cluster.local"
HOST = "reviews.default.svc.cluster.local"


def store() -> Store:
    held = Store()
    plan = ClusterPlan(CLUSTER, "static", service=(HOST, "reviews", "default"))
    held.kinds["cluster"][CLUSTER] = Held(CLUSTER, "1", b"", plan, ())
    return held


def page(*keys: Key) -> list[str]:
    telemetry = Telemetry()
    for key in keys:
        telemetry.samples.append((*key, 7.0, 10, 20))
    stats = Stats(1)
    telemetry.export(stats)
    return exposition(labelled(stats, NODE, store()), Selection()).splitlines()


def labels(line: str) -> dict[str, str]:
    inside = line.partition("{")[2].rpartition("}")[0]
    return {name: value.strip('"') for name, _, value in (part.partition("=") for part in inside.split(","))}


def test_a_client_side() -> None:
    lines = page(("outbound", CLUSTER, 503, "UF", "reviews-v1;default;reviews;v1;Kubernetes", b"", ""))
    assert "# TYPE istio_requests_total counter" in lines
    assert "# TYPE istio_request_duration_milliseconds histogram" in lines
    (line,) = (line for line in lines if line.startswith("istio_requests_total{"))
    assert line.endswith(" 1")
    assert labels(line) == {
        "reporter": "source",
        "source_workload": "productpage-1",
        "source_workload_namespace": "default",
        "source_principal": "unknown",
        "source_app": "productpage",
        "source_version": "v1",
        "source_canonical_service": "productpage",
        "source_canonical_revision": "v1",
        "destination_workload": "reviews-v1",
        "destination_workload_namespace": "default",
        "destination_principal": "unknown",
        "destination_app": "reviews",
        "destination_version": "v1",
        "destination_canonical_service": "reviews",
        "destination_canonical_revision": "v1",
        "destination_service": HOST,
        "destination_service_name": "reviews",
        "destination_service_namespace": "default",
        "request_protocol": "http",
        "response_code": "503",
        "grpc_response_status": "",
        "response_flags": "UF",
        "connection_security_policy": "unknown",
    }
    buckets = [line for line in lines if line.startswith("istio_request_duration_milliseconds_bucket")]
    assert [labels(line)["le"] for line in buckets if line.endswith(" 0")] == ["0.5", "1", "5"]
    assert len(buckets) == 20


def test_a_server_side_with_a_client_that_said_who_it_is() -> None:
    said = Attributes()
    said.attributes["source.uid"].string_value = "kubernetes://ratings-1.other"
    forwarded = b64encode(said.SerializeToString())
    lines = page(("inbound", "inbound|9080||", 200, "", "", forwarded, ""))
    (line,) = (line for line in lines if line.startswith("istio_requests_total{"))
    found = labels(line)
    assert (found["reporter"], found["source_workload"], found["source_workload_namespace"]) == (
        "destination",
        "ratings-1",
        "other",
    )
    assert (found["destination_app"], found["connection_security_policy"], found["response_flags"]) == (
        "productpage",
        "none",
        "-",
    )


def test_a_client_that_has_proved_who_it_is() -> None:
    client = "spiffe://cluster.local/ns/default/sa/ratings"
    (line,) = (
        line
        for line in page(("inbound", "inbound|9080||", 200, "", "", b"", client))
        if line.startswith("istio_requests_total{")
    )
    found = labels(line)
    assert (found["source_principal"], found["connection_security_policy"]) == (client, "mutual_tls")


def test_keys_with_the_same_labels_are_added_up() -> None:
    lines = page(("inbound", "a", 200, "", "", b"", ""), ("inbound", "b", 200, "", "", b"", ""))
    (line,) = (line for line in lines if line.startswith("istio_requests_total{"))
    assert line.endswith(" 2")
    (count,) = (line for line in lines if line.startswith("istio_request_bytes_count{"))
    assert count.endswith(" 2")


def test_traffic_to_no_service_bears_the_clusters_name() -> None:
    lines = page(("outbound", "PassthroughCluster", 200, "", "", b"", ""))
    (line,) = (line for line in lines if line.startswith("istio_requests_total{"))
    found = labels(line)
    assert found["destination_service_name"] == "PassthroughCluster"
    assert found["destination_service"] == "unknown"
