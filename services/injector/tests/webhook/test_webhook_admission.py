"""Reviews in, responses out."""

from __future__ import annotations

import base64
import json
from typing import Any

import jsonpatch
import pytest

from mizzen.injector.injection.inject import Place, inject
from mizzen.injector.injection.settings import Settings, read_settings
from mizzen.injector.webhook.admission import answer, place_of
from mizzen.injector.webhook.review import BadReview

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "web-", "labels": {"app": "web"}},
    "spec": {"containers": [{"name": "app", "image": "web:1"}]},
}


def review(pod: Any = POD, version: str = "admission.k8s.io/v1", **request: Any) -> bytes:
    stated = {"uid": "u1", "namespace": "shop", "operation": "CREATE", "object": pod} | request
    return json.dumps({"apiVersion": version, "kind": "AdmissionReview", "request": stated}).encode()


def with_annotation(name: str, value: str) -> dict[str, Any]:
    return POD | {"metadata": {"name": "web-1", "annotations": {name: value}}}


@pytest.mark.parametrize("version", ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"])
def test_a_pod_is_injected(version: str) -> None:
    found = answer(review(version=version), "/inject", Settings())
    response = found.review["response"]
    assert (found.review["apiVersion"], found.review["kind"]) == (version, "AdmissionReview")
    assert (response["uid"], response["allowed"], response["patchType"]) == ("u1", True, "JSONPatch")
    patch = json.loads(base64.b64decode(response["patch"]))
    assert jsonpatch.apply_patch(POD, patch) == inject(POD, Settings(), Place("shop")).pod
    assert "warnings" not in response
    reason = "the injector's policy is enabled"
    assert (found.outcome, found.subject, found.reason) == ("injected", "Pod shop/web-*", reason)


def test_an_injected_pod_gets_no_patch() -> None:
    injected = inject(POD, Settings(), Place("shop")).pod
    assert answer(review(injected), "/inject", Settings()).review["response"] == {"uid": "u1", "allowed": True}


@pytest.mark.parametrize(
    ("pod", "request_fields", "reason"),
    [
        (POD | {"spec": POD["spec"] | {"hostNetwork": True}}, {}, "network of its node"),
        (POD, {"namespace": "kube-system"}, "kube-system"),
        (with_annotation("sidecar.istio.io/inject", "false"), {}, "annotation sidecar.istio.io/inject=false"),
        ({"kind": "Service"}, {}, "no Pod"),
        (None, {"operation": "DELETE"}, "no Pod"),
    ],
)
def test_what_is_not_injected_is_allowed(pod: Any, request_fields: dict[str, str], reason: str) -> None:
    found = answer(review(pod, **request_fields), "/inject", Settings())
    assert found.review["response"] == {"uid": "u1", "allowed": True}
    assert found.outcome == "skipped"
    assert reason in found.reason


def test_a_bad_pod_is_refused_with_the_reason() -> None:
    found = answer(review(with_annotation("sidecar.istio.io/proxyCPU", "fast")), "/inject", Settings())
    response = found.review["response"]
    assert (response["allowed"], "patch" in response) == (False, False)
    assert "Pod shop/web-1 cannot be injected: annotation sidecar.istio.io/proxyCPU" in response["status"]["message"]
    broken = answer(review({"kind": "Pod", "metadata": ["x"], "spec": {}}), "/inject", Settings())
    assert "metadata must be a mapping" in broken.review["response"]["status"]["message"]


def test_warnings_reach_the_user() -> None:
    pod = with_annotation("sidecar.istio.io/bootstrapOverride", "x")
    pod["metadata"]["labels"] = {"sidecar.istio.io/inject": "yes"}
    (ignored, ineffective) = answer(review(pod), "/inject", Settings()).review["response"]["warnings"]
    assert 'not "yes"' in ignored
    assert "has no effect" in ineffective


@pytest.mark.parametrize(
    ("path", "cluster", "network"),
    [
        ("/inject", "", ""),
        ("/inject/", "", ""),
        ("/inject/cluster/c1/net/n1", "c1", "n1"),
        ("/inject/net/n1/", "", "n1"),
        ("/inject/cluster/a--slash--b", "a/b", ""),
        ("/inject/cluster", "", ""),
        ("/inject/other/x/cluster/c", "c", ""),
    ],
)
def test_the_path_tells_cluster_and_network(path: str, cluster: str, network: str) -> None:
    assert (place_of(path).cluster, place_of(path).network) == (cluster, network)


def test_the_network_of_the_path_is_injected() -> None:
    response = answer(review(), "/inject/cluster/c1/net/n1", read_settings()).review["response"]
    pod = jsonpatch.apply_patch(POD, json.loads(base64.b64decode(response["patch"])))
    assert pod["metadata"]["labels"]["topology.istio.io/network"] == "n1"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "must be an AdmissionReview"),
        (json.dumps({"apiVersion": "v1", "kind": "Pod"}).encode(), "must be an AdmissionReview"),
        (json.dumps({"apiVersion": "admission.k8s.io/v1"}).encode(), "no request with a uid"),
    ],
)
def test_what_is_no_review_is_told(body: bytes, message: str) -> None:
    with pytest.raises(BadReview, match=message):
        answer(body, "/inject", Settings())
