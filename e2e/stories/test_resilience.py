"""Things come, go and break while visitors use the page."""

from __future__ import annotations

import pytest
from support.load import under_load
from support.mesh import Mesh, count_versions, eventually, get, only

PAGE = "/api/v1/products/0/reviews"


def endpoints_of(mesh: Mesh, workload: str, cluster: str) -> set[str]:
    rows = mesh.table("proxy-config", "endpoints", workload)
    return {row["endpoint"] for row in rows if row["cluster"] == cluster}


@pytest.mark.runtime(
    "local", "kube", reason="containers that share a network cannot be scaled: replicas are services there"
)
def test_an_endpoint_comes_and_goes_and_no_request_fails(mesh: Mesh) -> None:
    cluster = "outbound|9080||reviews.default.svc.cluster.local"
    before = endpoints_of(mesh, "productpage-v1", cluster)
    with under_load(PAGE) as load:
        mesh.ok("scale", "deployment/reviews-v2", "--replicas", "2")
        eventually(lambda: len(endpoints_of(mesh, "productpage-v1", cluster)) == len(before) + 1, "one more endpoint")
        seen = load.answered
        eventually(lambda: load.answered > seen + 100, "a hundred requests with it")
        mesh.ok("scale", "deployment/reviews-v2", "--replicas", "1")
        eventually(lambda: len(endpoints_of(mesh, "productpage-v1", cluster)) == len(before), "that endpoint gone")
        seen = load.answered
        eventually(lambda: load.answered > seen + 100, "a hundred requests without it")
    assert load.failed == []
    assert load.answered > 200


def test_a_workload_goes_and_comes_back_and_no_request_fails(mesh: Mesh) -> None:
    cluster = "outbound|9080||reviews.default.svc.cluster.local"
    before = endpoints_of(mesh, "productpage-v1", cluster)
    with under_load(PAGE) as load:
        mesh.stop("reviews-v2")
        eventually(lambda: len(endpoints_of(mesh, "productpage-v1", cluster)) == len(before) - 1, "one endpoint gone")
        seen = load.answered
        eventually(lambda: load.answered > seen + 100, "a hundred requests without it")
        mesh.start("reviews-v2")
        eventually(lambda: len(endpoints_of(mesh, "productpage-v1", cluster)) == len(before), "it is back", seconds=60)
        seen = load.answered
        eventually(lambda: load.answered > seen + 100, "a hundred requests with it")
    assert load.failed == []
    eventually(lambda: set(count_versions(30)) == {"v1", "v2", "v3"}, "every version again")


def test_bad_yaml_is_refused_with_the_reason_and_changes_nothing(mesh: Mesh) -> None:
    bad = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: [reviews]
  http:
  - route:
    - destination: {host: reviews, subset: v1}
      wieght: 90
    - destination: {host: reviews, subset: v2}
      weight: 10
"""
    with under_load(PAGE) as load:
        refused = mesh.mizzen("apply", "-f", "-", stdin=bad)
        seen = load.answered
        eventually(lambda: load.answered > seen + 50, "fifty requests after it")
    assert refused.status == 1
    assert "VirtualService default/reviews" in refused.text
    assert "spec.http[0].route[0].wieght" in refused.text
    assert "weight" in refused.text
    assert load.failed == []
    assert mesh.mizzen("get", "virtualservice", "reviews").status == 1


def test_traffic_outlives_pilot_and_changes_flow_again_when_it_is_back(mesh: Mesh) -> None:
    with under_load(PAGE) as load:
        killed = mesh.incarnation("pilot")
        mesh.kill("pilot")
        seen = load.answered
        eventually(lambda: load.answered > seen + 50, "fifty requests after Pilot was killed")
        eventually(lambda: mesh.incarnation("pilot") not in ("", killed), "Pilot started again")
        with mesh.applied("virtual-service-all-v1.yaml"):
            eventually(only({"v1"}), "a change after Pilot's return", seconds=30)
    assert load.failed == []
    eventually(lambda: set(count_versions(30)) == {"v1", "v2", "v3"}, "every version again")


def test_a_crashed_application_is_started_again(mesh: Mesh) -> None:
    details = mesh.app("details-v1")
    killed = mesh.incarnation(details)
    mesh.kill(details)
    eventually(lambda: mesh.incarnation(details) not in ("", killed), "details started again")
    eventually(lambda: get("/api/v1/products/0").status == 200, "details answering again")
