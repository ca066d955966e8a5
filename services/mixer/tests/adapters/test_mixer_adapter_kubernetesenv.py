"""kubernetesenv: attributes from the Pods in a folder."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mizzen.mixer.adapter import AdapterError
from mizzen.mixer.adapters.defaults import DEFAULTS
from mizzen.mixer.templates import Kubernetes

PODS = """
apiVersion: v1
kind: Pod
metadata:
  name: reviews-v1-6b8f5-x2x4
  namespace: default
  labels: {app: reviews, version: v1, pod-template-hash: 6b8f5}
  ownerReferences:
  - {apiVersion: apps/v1, kind: ReplicaSet, name: reviews-v1-6b8f5, controller: true}
spec:
  serviceAccountName: bookinfo-reviews
  containers:
  - {name: sidecar, ports: [{containerPort: 15090}]}
  - {name: reviews, ports: [{containerPort: 9080}, {containerPort: 9081}]}
status: {podIP: 10.0.0.7, hostIP: 192.168.0.1, phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: lonely, namespace: other}
spec: {}
status: {podIP: "2001:DB8::7"}
---
apiVersion: v1
kind: Pod
metadata: {name: finished, namespace: other}
spec: {}
status: {podIP: 10.0.0.7, phase: Succeeded}
---
apiVersion: v1
kind: Pod
metadata:
  name: job-1
  namespace: other
  ownerReferences:
  - {apiVersion: v1, kind: Thing, name: x}
  - {apiVersion: batch/v1, kind: Job, name: job, controller: true}
spec: {}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {ports: [{port: 9080, name: http}]}
"""

REVIEWS = {
    "pod_uid": "kubernetes://reviews-v1-6b8f5-x2x4.default",
    "pod_name": "reviews-v1-6b8f5-x2x4",
    "namespace": "default",
    "labels": {"app": "reviews", "version": "v1", "pod-template-hash": "6b8f5"},
    "service_account_name": "bookinfo-reviews",
    "pod_ip": ip_address("10.0.0.7"),
    "host_ip": ip_address("192.168.0.1"),
    "workload_uid": "istio://default/workloads/reviews-v1",
    "workload_name": "reviews-v1",
    "workload_namespace": "default",
    "owner": "kubernetes://apis/apps/v1/namespaces/default/deployments/reviews-v1",
}
UID = "kubernetes://reviews-v1-6b8f5-x2x4.default"


@pytest.fixture
async def handler(build, tmp_path):
    (tmp_path / "pods.yaml").write_text(PODS)
    return await build("kubernetesenv", {"registryPath": str(tmp_path)})


async def ask(handler, **fields):
    return await handler.generate(Kubernetes("attributes.kubernetes.istio-system", **fields))


async def test_everything_about_both_sides(handler):
    found = await ask(handler, source_ip=ip_address("10.0.0.7"), destination_uid=UID, destination_port=9081)
    expected = {f"{side}_{name}": value for side in ("source", "destination") for name, value in REVIEWS.items()}
    assert found == expected | {"destination_container_name": "reviews"}


async def test_a_pod_without_owner_is_its_own_workload(handler):
    assert await ask(handler, destination_ip=ip_address("2001:db8::7"), destination_port=1) == {
        "destination_pod_uid": "kubernetes://lonely.other",
        "destination_pod_name": "lonely",
        "destination_namespace": "other",
        "destination_pod_ip": ip_address("2001:db8::7"),
        "destination_workload_uid": "istio://other/workloads/lonely",
        "destination_workload_name": "lonely",
        "destination_workload_namespace": "other",
    }


async def test_the_controller_is_the_owner(handler):
    found = await ask(handler, source_uid="kubernetes://job-1.other")
    assert found["source_owner"] == "kubernetes://apis/batch/v1/namespaces/other/jobs/job"
    assert found["source_workload_name"] == "job"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"source_ip": ip_address("10.9.9.9")},
        {"source_ip": ip_address("::")},
        {"source_uid": "kubernetes://nobody.default", "source_ip": ip_address("10.0.0.7")},
    ],
)
async def test_nothing_is_known(handler, fields):
    assert await ask(handler, **fields) == {}


@pytest.mark.parametrize("uid", ["reviews-v1-6b8f5-x2x4.default", "10.0.0.7", "kubernetes://10.0.0.7"])
async def test_other_spellings_of_a_uid(handler, uid):
    assert (await ask(handler, source_uid=uid))["source_pod_uid"] == UID


async def test_mixers_own_registry(build, tmp_path, monkeypatch):
    with pytest.raises(AdapterError, match="registryPath: is required"):
        await build("kubernetesenv", {})
    monkeypatch.setattr(DEFAULTS, "registry", tmp_path)
    (tmp_path / "pods.yaml").write_text(PODS)
    handler = await build("kubernetesenv", {"kubeconfigPath": "/x", "cacheRefreshDuration": "5m"})
    assert (await ask(handler, source_uid=UID))["source_workload_name"] == "reviews-v1"


async def test_a_bad_file_keeps_its_pods(handler, tmp_path, caplog):
    (tmp_path / "pods.yaml").write_text("kind: [")
    await handler._source.refresh()
    assert await ask(handler, source_uid=UID)
    assert "pods.yaml is left as it was" in caplog.text
    revision = handler.revision
    (tmp_path / "pods.yaml").unlink()
    await handler._source.refresh()
    assert not await ask(handler, source_uid=UID)
    assert handler.revision != revision
