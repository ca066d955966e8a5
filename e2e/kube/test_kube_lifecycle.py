"""Install, upgrade, rollback, uninstall, with the commands of docs/install/kubernetes.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from kube.harness.values import merged, tree, values
from support.kube.cluster import Cluster, Object, Refused, until
from support.kube.release import CRDS, Release, crd_names, everything

from mizzen.injector.certificate.issue import sign_by_itself
from mizzen.injector.certificate.keeping import Held
from mizzen.injector.certificate.secret import secret_data

NAMESPACE = "istio-system"
CERTIFICATE = ("secret", "mizzen-injector-certificate")
WEBHOOK = ("mutatingwebhookconfiguration", "istio-sidecar-injector")


@pytest.fixture
def mesh(cluster: Cluster) -> Iterator[Release]:
    """What a test installs is gone after it, the namespace too."""
    release = Release(cluster, NAMESPACE)
    try:
        yield release
    finally:
        release.uninstall()
        cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")


def _settings(release: Release, deployment: str) -> dict[str, str]:
    [container] = release.get("deployment", deployment)["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable.get("value", "") for variable in container["env"]}


def _webhooks(release: Release) -> list[Object]:
    found: list[Object] = release.cluster.get(*WEBHOOK)["webhooks"]
    return found


def _certificate(release: Release) -> dict[str, str]:
    """The Secret's data, when all webhooks have its roots. Where no kubelet runs an injector, the test writes both."""
    if release.cluster.local:
        issued = sign_by_itself(["mizzen-injector.istio-system.svc"], datetime.now(UTC), timedelta(days=1))
        data = secret_data(Held(issued.pair, None, issued.roots))
        release.cluster.kubectl(
            "patch", *CERTIFICATE, "--namespace", NAMESPACE, f"--patch={json.dumps({'data': data})}"
        )
        for index in range(len(_webhooks(release))):
            add = [{"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": data["ca.crt"]}]
            release.cluster.kubectl("patch", *WEBHOOK, "--type=json", f"--patch={json.dumps(add)}")
    until("the webhooks' roots", lambda: _bundles(release) == {release.get(*CERTIFICATE).get("data", {}).get("ca.crt")})
    found: dict[str, str] = release.get(*CERTIFICATE)["data"]
    return found


def _bundles(release: Release) -> set[str | None]:
    return {hook["clientConfig"].get("caBundle", "") for hook in _webhooks(release)}


def test_kube_install_upgrade_rollback_uninstall(cluster: Cluster, mesh: Release) -> None:
    before = everything(cluster)
    notes = mesh.install("--create-namespace")
    assert "kubectl label namespace default istio-injection=enabled" in notes
    certificate = _certificate(mesh)
    installed = everything(cluster)

    mesh.upgrade("--set=pilot.logLevel=debug", "--set=gateways.egress.enabled=false")
    assert _settings(mesh, "mizzen-pilot")["MIZZEN_PILOT_LOG_LEVEL"] == "debug"
    # Namespaces of other tests may still be on their way out.
    gone = {name for kind, place, name in installed - everything(cluster) if (kind, place) == ("Deployment", NAMESPACE)}
    assert gone == {"istio-egressgateway"}
    assert mesh.get(*CERTIFICATE)["data"] == certificate
    assert _bundles(mesh) == {certificate["ca.crt"]}

    mesh.rollback(1)
    assert _settings(mesh, "mizzen-pilot")["MIZZEN_PILOT_LOG_LEVEL"] == "info"
    assert "deployment.apps/istio-egressgateway" in cluster.names("deployments", "--namespace", NAMESPACE)
    assert mesh.get(*CERTIFICATE)["data"] == certificate
    assert _bundles(mesh) == {certificate["ca.crt"]}

    mesh.uninstall()
    definitions = {("CustomResourceDefinition", "", name) for name in crd_names()}
    of_the_cluster = {
        ("Namespace", "", NAMESPACE),
        ("ConfigMap", NAMESPACE, "kube-root-ca.crt"),
        ("ServiceAccount", NAMESPACE, "default"),
    }

    # Pods and ReplicaSets go when the controllers have noticed.
    def left() -> set[tuple[str, str, str]]:
        here = {item for item in everything(cluster) - before if item[1] in ("", NAMESPACE)}
        return here - definitions - of_the_cluster

    try:
        until("nothing but this is left", lambda: not left(), seconds=60)
    except AssertionError as error:
        raise AssertionError(f"{error}: {sorted(left())}") from error
    assert definitions <= everything(cluster)


def test_kube_until_an_injector_answers_only_its_own_pods_wait(cluster: Cluster, mesh: Release, namespace: str) -> None:
    """Right after the install: no webhook has roots yet, and nobody is there."""
    if not cluster.local:
        pytest.skip("here, Pods of the release answer within seconds")
    mesh.install("--create-namespace")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "shop", "namespace": namespace},
        "spec": {"containers": [{"name": "shop", "image": "shop:1"}]},
    }
    create = ("create", "--dry-run=server", "--filename=-")
    cluster.kubectl(*create, stdin=yaml.safe_dump(pod))
    gateway = {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": pod["metadata"], "spec": {}}
    cluster.kubectl(*create, stdin=yaml.safe_dump(gateway))
    cluster.kubectl("label", "namespace", namespace, "istio-injection=enabled")
    with pytest.raises(Refused, match=r"failed calling webhook .*sidecar-injector\.istio\.io"):
        cluster.kubectl(*create, stdin=yaml.safe_dump(pod))


def test_kube_definitions_are_brought_up_to_date_by_apply(cluster: Cluster, mesh: Release) -> None:
    """Helm installs definitions and never upgrades them, so the document has a command for it."""
    mesh.install("--create-namespace")
    name = "virtualservices.networking.istio.io"
    old = '[{"op": "remove", "path": "/spec/versions/0/additionalPrinterColumns"}]'
    cluster.kubectl("patch", "crd", name, "--type=json", f"--patch={old}")
    mesh.upgrade()
    assert "additionalPrinterColumns" not in cluster.get("crd", name)["spec"]["versions"][0]
    applied = cluster.kubectl("apply", "--server-side", "--force-conflicts", f"--filename={CRDS}")
    assert applied.count("serverside-applied") == len(crd_names())
    assert cluster.get("crd", name)["spec"]["versions"][0]["additionalPrinterColumns"]


def test_kube_every_value_changed_at_once_is_accepted(cluster: Cluster, mesh: Release, tmp_path: Path) -> None:
    """The API server takes what the chart renders, not only Helm."""
    kept = {"gateways.ingress.service.externalTrafficPolicy", "gateways.ingress.service.type"}
    kept |= {value.path for value in values() if value.path.endswith((".enabled", ".externalTrafficPolicy"))}
    changed = [tree(value.path, value.example) for value in values() if value.path not in kept]
    file = tmp_path / "values.yaml"
    dashboards = {"monitoring": {"dashboards": {"enabled": True}}}
    file.write_text(yaml.safe_dump(merged(*changed, dashboards)))
    mesh.install("--create-namespace", f"--values={file}")
    assert "deployment.apps/mizzen-pilot-canary" in cluster.names("deployments", "--namespace", NAMESPACE)


def test_kube_pods_are_admitted_where_only_restricted_ones_are(release: Release) -> None:
    deployments = release.get("deployments")["items"]
    assert len(deployments) == 5

    def made() -> set[str]:
        return {
            deployment["metadata"]["name"]
            for deployment in release.get("deployments")["items"]
            if deployment["status"].get("replicas", 0) >= 1
        }

    everyone = {deployment["metadata"]["name"] for deployment in deployments}
    until("each Deployment has a Pod", lambda: made() == everyone)


def test_kube_the_test_pod_is_admitted(release: Release) -> None:
    [pod] = release.hooks()
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    release.cluster.kubectl("create", "--dry-run=server", "--filename=-", stdin=yaml.safe_dump(pod))
