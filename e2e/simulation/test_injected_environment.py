"""What the injector writes for the proxy is what the proxy's agent reads: a container needs no flags."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mizzen.injector.injection.inject import Place, inject
from mizzen.injector.injection.settings import read_settings as read_injection_settings
from mizzen.proxy.app.pod.probers import Grpc, HttpGet, Prober, TcpSocket
from mizzen.proxy.app.pod.targets import Target
from mizzen.proxy.app.settings import Settings, read_settings
from mizzen.runtime.address import Address

KUBELET = {
    "metadata.name": "reviews-7d-x",
    "metadata.namespace": "shop",
    "status.podIP": "10.0.0.7",
    "status.hostIP": "192.168.0.1",
    "spec.serviceAccountName": "reviews-account",
    "spec.nodeName": "node-1",
}
"""What the kubelet puts in place of fieldRef."""

APP = {
    "name": "app",
    "image": "reviews:1",
    "ports": [{"containerPort": 9080, "name": "web"}],
    "livenessProbe": {"httpGet": {"path": "/live", "port": "web", "scheme": "HTTPS"}, "timeoutSeconds": 5},
    "readinessProbe": {"grpc": {"port": 9081, "service": "s"}},
    "startupProbe": {"tcpSocket": {"port": 9080}},
    "lifecycle": {"preStop": {"httpGet": {"path": "/bye", "port": 9080}}},
}


def injected(annotations: dict[str, str], mesh: str = "{}") -> dict[str, Any]:
    """A Pod of reviews, injected."""
    metadata = {"name": "reviews-7d-x", "labels": {"app": "reviews", "version": "v1"}, "annotations": annotations}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [dict(APP)]}}
    settings = read_injection_settings("{}", mesh, "{}", native_sidecars=False)
    return inject(pod, settings, Place("shop")).pod


def started(pod: dict[str, Any], folder: Path) -> Settings:
    """What the agent makes of the environment that the kubelet gives the container `istio-proxy`."""
    proxy = next(container for container in pod["spec"]["containers"] if container["name"] == "istio-proxy")
    assert "args" not in proxy
    for name in ("labels", "annotations"):
        lines = (f"{key}={json.dumps(value)}" for key, value in sorted(pod["metadata"][name].items()))
        (folder / name).write_text("\n".join(lines))
    environment = dict(_environment(proxy)) | {"MIZZEN_PROXY_POD_INFO_DIR": str(folder)}
    return read_settings([], environment, None, tuple)


def _environment(container: dict[str, Any]) -> Iterator[tuple[str, str]]:
    known: dict[str, str] = {}
    for variable in container["env"]:
        if "value" in variable:
            value = re.sub(r"\$\((\w+)\)", lambda found: known[found[1]], variable["value"])
        else:
            source = variable["valueFrom"]
            value = KUBELET[source["fieldRef"]["fieldPath"]] if "fieldRef" in source else "2"
        known[variable["name"]] = value
        yield variable["name"], value


def test_a_sidecar(tmp_path: Path) -> None:
    pod = injected({"prometheus.io/port": "9090"})
    settings = started(pod, tmp_path)
    node = settings.node
    assert node.id == "sidecar~10.0.0.7~reviews-7d-x.shop~shop.svc.cluster.local"
    assert node.cluster == "reviews.shop"
    assert node.metadata["LABELS"] == pod["metadata"]["labels"]
    known = {name: node.metadata[name] for name in ("NODE_NAME", "SERVICE_ACCOUNT", "CLUSTER_ID", "INSTANCE_IPS")}
    assert known == {
        "NODE_NAME": "node-1",
        "SERVICE_ACCOUNT": "reviews-account",
        "CLUSTER_ID": "Kubernetes",
        "INSTANCE_IPS": "10.0.0.7",
    }
    assert node.metadata["INTERCEPTION_MODE"] == "REDIRECT"
    assert settings.discovery_address == Address("istiod.istio-system.svc", 15012)
    assert settings.admin_address == Address("127.0.0.1", 15000)
    assert settings.status_address == Address("0.0.0.0", 15021)


def test_its_identity_is_that_of_the_pod_by_what_is_mounted(tmp_path: Path) -> None:
    pod = injected({}, "trustDomain: acme")
    settings = started(pod, tmp_path)
    identity = settings.identity
    assert identity is not None
    assert str(identity.identity) == settings.node.metadata["PRINCIPAL"] == "spiffe://acme/ns/shop/sa/reviews-account"
    assert identity.authority == settings.discovery_address == Address("istiod.istio-system.svc", 15012)
    proxy = next(container for container in pod["spec"]["containers"] if container["name"] == "istio-proxy")
    mounts = {mount["name"]: Path(mount["mountPath"]) for mount in proxy["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert identity.roots == mounts["istiod-ca-cert"] / "root-cert.pem"
    assert volumes["istiod-ca-cert"]["configMap"] == {"name": "istio-ca-root-cert"}
    (source,) = volumes["istio-token"]["projected"]["sources"]
    token = source["serviceAccountToken"]
    assert identity.token == mounts["istio-token"] / token["path"]
    assert (token["audience"], token["expirationSeconds"]) == ("istio-ca", 43200)
    assert pod["metadata"]["labels"]["security.istio.io/tlsMode"] == "istio"


def test_the_agent_answers_where_the_kubelet_and_prometheus_ask(tmp_path: Path) -> None:
    pod = injected({"prometheus.io/port": "9090", "prometheus.io/path": "/m"})
    agent = started(pod, tmp_path).pod
    assert agent is not None
    assert (agent.address, agent.application, agent.source) == (Address("0.0.0.0", 15020), "10.0.0.7", "127.0.0.6")
    assert agent.targets == (Target(9090, "/m"),)
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(agent.address.port)
    app = next(container for container in pod["spec"]["containers"] if container["name"] == "app")
    asked = [app[name]["httpGet"] for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    asked.append(app["lifecycle"]["preStop"]["httpGet"])
    assert {probe["port"] for probe in asked} == {agent.address.port}
    assert [agent.probers[probe["path"]] for probe in asked] == [
        Prober(HttpGet(9080, "/live", True), 5.0),
        Prober(Grpc(9081, "s"), 1.0),
        Prober(TcpSocket(9080), 1.0),
        Prober(HttpGet(9080, "/bye", False), 600.0),
    ]


@pytest.mark.parametrize(
    ("annotations", "mesh", "expected"),
    [
        ({"proxy.istio.io/config": "concurrency: 3"}, "{}", {"concurrency": 3}),
        ({"proxy.istio.io/config": "terminationDrainDuration: 90s"}, "{}", {"drain_seconds": 90}),
        ({}, "defaultConfig: {terminationDrainDuration: 1m30s}", {"drain_seconds": 90}),
        (
            {"proxy.istio.io/config": "proxyMetadata: {EXIT_ON_ZERO_ACTIVE_CONNECTIONS: 'true'}"},
            "{}",
            {"drain_seconds": 3600},
        ),
        ({"proxy.istio.io/config": "proxyAdminPort: 15900"}, "{}", {"admin_address": Address("127.0.0.1", 15900)}),
        (
            {},
            "defaultConfig: {discoveryAddress: 'pilot.mesh:15010'}",
            {"discovery_address": Address("pilot.mesh", 15010)},
        ),
    ],
)
def test_a_proxy_config(annotations: dict[str, str], mesh: str, expected: dict[str, Any], tmp_path: Path) -> None:
    settings = started(injected(annotations, mesh), tmp_path)
    assert {name: getattr(settings, name) for name in expected} == expected


def test_another_port_of_the_agent(tmp_path: Path) -> None:
    pod = injected({"status.sidecar.istio.io/port": "15920"})
    agent = started(pod, tmp_path).pod
    assert agent is not None
    app = next(container for container in pod["spec"]["containers"] if container["name"] == "app")
    assert app["livenessProbe"]["httpGet"]["port"] == agent.address.port == 15920


def test_no_port_of_the_agent(tmp_path: Path) -> None:
    pod = injected({"status.sidecar.istio.io/port": "0"})
    app = next(container for container in pod["spec"]["containers"] if container["name"] == "app")
    assert started(pod, tmp_path).pod is None
    assert app["livenessProbe"] == APP["livenessProbe"]
