"""Pods that the API server sends to the injector, by the chart's webhook, over TLS."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from kube.harness.component import serving
from support.kube.cluster import Cluster, Object, until
from support.kube.release import Release

from mizzen.injector.certificate.issue import sign_by_itself
from mizzen.injector.certificate.keeping import Held
from mizzen.injector.certificate.secret import read_secret, secret_data

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


@pytest.fixture(scope="module")
def injector(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One that answers."""
    variables = {
        "MIZZEN_INJECTOR_ADDRESS": "{address}:443",
        "MIZZEN_INJECTOR_MONITORING_ADDRESS": "{address}:15014",
        "MIZZEN_INJECTOR_KUBECONFIG": "{kubeconfig}",
    }
    folder = tmp_path_factory.mktemp("injector")
    with serving(release, "mizzen.injector.webhook", "mizzen-injector", variables, folder):
        until("the API server knows the injector", lambda: _roots(release) == [_bundle(release)] * 4)
        yield


def _roots(release: Release) -> list[str]:
    """The `caBundle` of each webhook."""
    name = f"istio-sidecar-injector-{release.namespace}"
    hooks = release.cluster.get("mutatingwebhookconfiguration", name)["webhooks"]
    return [hook["clientConfig"].get("caBundle", "") for hook in hooks]


def _bundle(release: Release) -> str:
    bundle: str = release.get("secret", "mizzen-injector-certificate").get("data", {}).get("ca.crt", "none yet")
    return bundle


def _created(cluster: Cluster, namespace: str, labels: Mapping[str, str]) -> Object:
    """A Pod as the API server would store it."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "shop-", "namespace": namespace, "labels": {"app": "shop", **labels}},
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
    injector: None,
    namespace: str,
    of_namespace: Mapping[str, str],
    of_pod: Mapping[str, str],
    expected: bool,
) -> None:
    _label(cluster, namespace, of_namespace)
    pod = _created(cluster, namespace, of_pod)
    assert ("sidecar.istio.io/status" in pod["metadata"].get("annotations", {})) is expected


def test_kube_the_sidecar_is_as_the_chart_says(
    cluster: Cluster, injector: None, release: Release, namespace: str
) -> None:
    _label(cluster, namespace, ENABLED)
    spec = _created(cluster, namespace, {})["spec"]
    [proxy] = [container for container in spec["containers"] if container["name"] == "istio-proxy"]
    [init] = [container for container in spec["initContainers"] if container["name"] == "istio-init"]
    settings = {variable["name"]: variable.get("value") for variable in proxy["env"]}
    assert settings["MIZZEN_PROXY_DISCOVERY_ADDRESS"] == f"istiod.{release.namespace}.svc:15010"
    assert settings["ISTIO_META_CLUSTER_ID"] == "Kubernetes"
    assert {proxy["image"], init["image"]} == {"mizzen/proxy:0.1.0", "mizzen/proxy-init:0.1.0"}


def test_kube_pods_of_a_deployment_are_injected(cluster: Cluster, injector: None, namespace: str) -> None:
    """Made by the controller manager, stored for good."""
    _label(cluster, namespace, ENABLED)
    cluster.kubectl("create", "deployment", "shop", "--image=shop:1", "--namespace", namespace)
    until("a Pod", lambda: bool(cluster.names("pods", "--namespace", namespace)))
    [pod] = cluster.get("pods", "--namespace", namespace)["items"]
    assert pod["metadata"]["labels"]["service.istio.io/canonical-name"] == "shop"
    [proxy] = [container for container in pod["spec"]["containers"] if container["name"] == "istio-proxy"]
    owner = next(variable["value"] for variable in proxy["env"] if variable["name"] == "ISTIO_META_OWNER")
    assert owner == f"kubernetes://apis/apps/v1/namespaces/{namespace}/deployments/shop"


def test_kube_whoever_changes_the_bundle_is_corrected(injector: None, release: Release) -> None:
    name = f"istio-sidecar-injector-{release.namespace}"
    remove = '[{"op": "remove", "path": "/webhooks/1/clientConfig/caBundle"}]'
    release.cluster.kubectl("patch", "mutatingwebhookconfiguration", name, "--type=json", f"--patch={remove}")
    until("the bundle is back", lambda: _roots(release) == [_bundle(release)] * 4)


def test_kube_the_certificate_is_renewed_while_pods_are_injected(
    cluster: Cluster, injector: None, release: Release, namespace: str
) -> None:
    """Two thirds of its life are over: a successor is made, known, and served, and no Pod is refused meanwhile."""
    _label(cluster, namespace, ENABLED)
    hosts = [f"mizzen-injector.{release.namespace}.{end}" for end in ("svc", "")]
    issued = sign_by_itself([host.rstrip(".") for host in hosts], datetime.now(UTC) - timedelta(days=61), LIFE)
    old = Held(issued.pair, None, (*_held(release).roots, *issued.roots))
    _put(release, Held(_held(release).serving, issued.pair, old.roots))
    # Served and known: from now on it is as if the injector had made it 61 days ago.
    until("its root is known", lambda: _roots(release) == [_bundle(release)] * 4)
    _put(release, old)

    def renewed() -> bool:
        assert "annotations" in _created(cluster, namespace, {})["metadata"]
        held = _held(release)
        return held.coming is None and held.serving not in (None, issued.pair)

    until("the successor is served", renewed, seconds=90)
    assert len(_held(release).roots) == 3


def _held(release: Release) -> Held:
    return read_secret(release.get("secret", "mizzen-injector-certificate"))


def _put(release: Release, held: Held) -> None:
    data = {"next.crt": None, "next.key": None} | secret_data(held)
    patch = f"--patch={json.dumps({'data': data})}"
    release.cluster.kubectl("patch", "secret", "mizzen-injector-certificate", "--namespace", release.namespace, patch)
