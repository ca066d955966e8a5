"""Pods that the API server sends to the injector, by the chart's webhook, over TLS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from kube.harness.injector import Injector
from support.kube.cluster import Cluster, Object, until
from support.kube.release import Release, image

from mizzen.injector.certificate.issue import sign_by_itself
from mizzen.injector.certificate.keeping import Held

ENABLED = {"istio-injection": "enabled"}
LIFE = timedelta(days=90)
REVISION = {"istio.io/rev": "default"}
CASES: list[tuple[Mapping[str, str], Mapping[str, str], bool]] = [
    # labels of the namespace, labels of the Pod, is it injected?
    ({}, {}, False),
    (ENABLED, {}, True),
    (ENABLED, {"sidecar.istio.io/inject": "false"}, False),
    (ENABLED, {"istio.io/rev": "canary"}, True),
    ({"istio-injection": "disabled"}, {"sidecar.istio.io/inject": "true"}, False),
    ({"istio-injection": "disabled"}, REVISION, False),
    (REVISION, {}, True),
    (REVISION, {"sidecar.istio.io/inject": "false"}, False),
    (REVISION | ENABLED, {}, True),
    ({"istio.io/rev": "canary"}, {}, False),
    ({"istio.io/rev": "canary"}, {"sidecar.istio.io/inject": "true"}, False),
    ({}, {"sidecar.istio.io/inject": "true"}, True),
    ({}, {"sidecar.istio.io/inject": "true", "istio.io/rev": "canary"}, False),
    ({}, REVISION, True),
]


def _created(cluster: Cluster, namespace: str, labels: Mapping[str, str], **annotations: str) -> Object:
    """A Pod as the API server would store it."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "shop-",
            "namespace": namespace,
            "labels": {"app": "shop", **labels},
            "annotations": annotations,
        },
        "spec": {"containers": [{"name": "shop", "image": "shop:1", "ports": [{"containerPort": 8080}]}]},
    }
    text = cluster.kubectl("create", "--dry-run=server", "--output=json", "--filename=-", stdin=yaml.safe_dump(pod))
    created: Object = json.loads(text)
    return created


def _label(cluster: Cluster, namespace: str, labels: Mapping[str, str]) -> None:
    for name, value in labels.items():
        cluster.kubectl("label", "namespace", namespace, f"{name}={value}")


@pytest.mark.parametrize(("of_namespace", "of_pod", "expected"), CASES, ids=str)
def test_kube_selected_pods_are_injected(
    cluster: Cluster,
    injector: Injector,
    namespace: str,
    of_namespace: Mapping[str, str],
    of_pod: Mapping[str, str],
    expected: bool,
) -> None:
    _label(cluster, namespace, of_namespace)
    pod = _created(cluster, namespace, of_pod)
    assert ("sidecar.istio.io/status" in pod["metadata"].get("annotations", {})) is expected


def test_kube_the_sidecar_is_as_the_chart_says(
    cluster: Cluster, injector: Injector, release: Release, namespace: str
) -> None:
    _label(cluster, namespace, ENABLED)
    init, proxy = _created(cluster, namespace, {})["spec"]["initContainers"]
    assert [init["name"], proxy["name"]] == ["istio-init", "istio-proxy"]
    assert proxy["restartPolicy"] == "Always", "a native sidecar: this API server is new enough"
    settings = {variable["name"]: variable.get("value") for variable in proxy["env"]}
    assert settings["MIZZEN_PROXY_DISCOVERY_ADDRESS"] == f"istiod.{release.namespace}.svc:15012"
    assert settings["ISTIO_META_CLUSTER_ID"] == "Kubernetes"
    assert {proxy["image"], init["image"]} == {image("proxy"), image("proxy-init")}


def test_kube_a_pod_may_ask_for_a_classic_sidecar(cluster: Cluster, injector: Injector, namespace: str) -> None:
    _label(cluster, namespace, ENABLED)
    spec = _created(cluster, namespace, {}, **{"sidecar.istio.io/nativeSidecar": "false"})["spec"]
    assert [container["name"] for container in spec["containers"]] == ["shop", "istio-proxy"]


def test_kube_pods_of_a_deployment_are_injected(cluster: Cluster, injector: Injector, namespace: str) -> None:
    """Made by the controller manager, stored for good."""
    _label(cluster, namespace, ENABLED)
    cluster.kubectl("create", "deployment", "shop", "--image=shop:1", "--namespace", namespace)
    until("a Pod", lambda: bool(cluster.names("pods", "--namespace", namespace)))
    [pod] = cluster.get("pods", "--namespace", namespace)["items"]
    assert pod["metadata"]["labels"]["service.istio.io/canonical-name"] == "shop"
    [proxy] = [container for container in pod["spec"]["initContainers"] if container["name"] == "istio-proxy"]
    owner = next(variable["value"] for variable in proxy["env"] if variable["name"] == "ISTIO_META_OWNER")
    assert owner == f"kubernetes://apis/apps/v1/namespaces/{namespace}/deployments/shop"


def test_kube_whoever_changes_the_bundle_is_corrected(injector: Injector) -> None:
    injector.patch(injector.mutating, {"op": "remove", "path": "/webhooks/1/clientConfig/caBundle"})
    until("the bundle is back", lambda: injector.is_known)


def test_kube_the_certificate_is_renewed_while_pods_are_injected(
    cluster: Cluster, injector: Injector, namespace: str
) -> None:
    """Two thirds of its life are over: a successor is made, known, and served, and no Pod is refused meanwhile."""
    _label(cluster, namespace, ENABLED)
    host = f"mizzen-injector.{injector.release.namespace}"
    issued = sign_by_itself([f"{host}.svc", host], datetime.now(UTC) - timedelta(days=61), LIFE)
    roots = (*injector.held.roots, *issued.roots)
    injector.put(Held(injector.held.serving, issued.pair, roots))
    until("its root is known", lambda: injector.is_known)
    injector.put(Held(issued.pair, None, roots))  # as if the injector had made it 61 days ago

    def renewed() -> bool:
        assert "sidecar.istio.io/status" in _created(cluster, namespace, {})["metadata"]["annotations"]
        held = injector.held
        return held.coming is None and held.serving not in (None, issued.pair)

    until("the successor is served", renewed, seconds=90)
    assert len(injector.held.roots) == 2  # the one before goes, which nothing needs
