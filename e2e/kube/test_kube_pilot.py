"""Pilot with the rights of its ServiceAccount and the settings of its Deployment, on the real API server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from kube.harness.component import Component, serving
from support.kube.cluster import Cluster, Object, until
from support.kube.release import Release

ROOTS = ("--field-selector=metadata.name=istio-ca-root-cert",)


@pytest.fixture(scope="module")
def pilot(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Component]:
    """One that is ready."""
    variables = {
        "MIZZEN_PILOT_XDS_ADDRESS": "{address}:15010",
        "MIZZEN_PILOT_SECURE_ADDRESS": "{address}:15012",
        "MIZZEN_PILOT_MONITORING_ADDRESS": "{address}:15014",
        "MIZZEN_PILOT_KUBECONFIG": "{kubeconfig}",
    }
    with serving(release, "mizzen.pilot", "mizzen-pilot", variables, tmp_path_factory.mktemp("pilot")) as component:
        yield component


def _virtual_service(namespace: str, retries: int) -> Object:
    route = {"route": [{"destination": {"host": "shop"}}], "retries": {"attempts": retries}}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "shop", "namespace": namespace},
        "spec": {"hosts": ["shop"], "http": [route]},
    }


def test_kube_pilot_serves_what_the_api_server_has(cluster: Cluster, pilot: Component, namespace: str) -> None:
    cluster.kubectl("create", "service", "clusterip", "shop", "--tcp=80:8080", "--namespace", namespace)
    host = f"shop.{namespace}.svc.cluster.local"
    until("the Service is in the registry", lambda: host in json.dumps(pilot.page("/debug/registryz")))


def test_kube_pilot_writes_status(cluster: Cluster, pilot: Component, namespace: str) -> None:
    cluster.apply(_virtual_service(namespace, retries=1))

    def conditions() -> dict[str, str]:
        status = cluster.get("virtualservices.networking.istio.io", "shop", f"--namespace={namespace}").get(
            "status", {}
        )
        return {condition["type"]: condition["status"] for condition in status.get("conditions", [])}

    until("Pilot says so", lambda: conditions() == {"PassedValidation": "True", "Reconciled": "True"})


def test_kube_pilot_leads_with_the_releases_lease(release: Release, pilot: Component) -> None:
    until("it leads", lambda: bool(release.get("lease", "mizzen-pilot")["spec"].get("holderIdentity")))


def test_kube_pilot_gives_roots_to_every_namespace_by_the_releases_secret(
    cluster: Cluster, release: Release, pilot: Component, namespace: str
) -> None:
    def found() -> list[str]:
        return [
            item["data"]["root-cert.pem"]
            for item in cluster.get("configmaps", *ROOTS, f"--namespace={namespace}")["items"]
        ]

    until("the roots", lambda: bool(found()))
    secret = release.get("secret", "istio-ca-secret")["data"]["root-cert.pem"]
    assert found() == [base64.b64decode(secret).decode()]
