"""The node that the stories run on: what it does for a Pod is what a kubelet does."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from support.kube.cluster import Object, until
from support.kube.machine import left_behind
from support.kube.node import Node, node

pytestmark = pytest.mark.skipif("E2E_KUBECONFIG" in os.environ, reason="a cluster that is given has nodes of its own")

IMAGE = "mizzen/demo:0.1.0"
DETAILS = {
    "name": "details",
    "image": IMAGE,
    "args": ["details", "--version", "v1"],
    "ports": [{"name": "http", "containerPort": 9080}],
    "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 1},
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with node(tmp_path_factory.mktemp("node")) as made:
        yield made
    assert left_behind(made.machine.prefix) == []


@pytest.fixture
def place(machine: Node) -> str:
    """A namespace; the machine goes, so nobody removes it."""
    name = f"e2e-{secrets.token_hex(4)}"
    machine.cluster.create_namespace(name)
    return name


def _shell(script: str, **more: Any) -> Object:
    return {"name": "shell", "image": IMAGE, "command": ["sh", "-c", script], **more}


def _create(machine: Node, place: str, name: str, *containers: Object, **spec: Any) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": place, "labels": {"app": name}}}
    machine.cluster.apply(pod | {"spec": {"containers": list(containers), **spec}})


def _status(machine: Node, place: str, name: str) -> Any:
    return machine.cluster.get("pod", name, "--namespace", place)["status"]


def _ran(machine: Node, place: str, name: str, *containers: Object, **spec: Any) -> str:
    """What the first container of a Pod printed that ended well."""
    _create(machine, place, name, *containers, restartPolicy="Never", **spec)
    until(f"{name} ends", lambda: _status(machine, place, name)["phase"] in ("Succeeded", "Failed"))
    text = machine.log_file(place, name, containers[0]["name"]).read_text()
    assert _status(machine, place, name)["phase"] == "Succeeded", text
    return text


def _is_ready(machine: Node, place: str, name: str) -> bool:
    conditions = _status(machine, place, name).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def test_kube_a_service_leads_to_a_pod_that_is_ready(machine: Node, place: str) -> None:
    """Probes, status, EndpointSlices, kube-proxy and DNS."""
    machine.cluster.kubectl("create", "service", "clusterip", "details", "--tcp=80:9080", "--namespace", place)
    _create(machine, place, "details", DETAILS)
    until("details is ready", lambda: _is_ready(machine, place, "details"))
    names = ("details", f"details.{place}.svc.cluster.local")
    script = " && ".join(f"curl -sS --retry 5 --retry-all-errors --max-time 5 http://{name}/health" for name in names)
    assert _ran(machine, place, "ask", _shell(script)).count("Details is healthy") == 2


def test_kube_a_pod_is_not_ready_before_its_probe_succeeds(machine: Node, place: str) -> None:
    _create(machine, place, "shop", DETAILS | {"readinessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 1}})
    until("it runs", lambda: _status(machine, place, "shop")["phase"] == "Running")
    assert not _is_ready(machine, place, "shop")


def test_kube_containers_find_variables_and_volumes(machine: Node, place: str) -> None:
    machine.cluster.kubectl("create", "configmap", "settings", "--from-literal=colour=red", "--namespace", place)
    machine.cluster.kubectl("create", "secret", "generic", "key", "--from-literal=word=xyzzy", "--namespace", place)
    env = [
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
        {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "ALL", "value": "$(NAME) $(COLOUR) $$(NAME) $(OTHER)"},
    ]
    volumes = [
        {"name": "settings", "configMap": {"name": "settings"}},
        {"name": "key", "secret": {"secretName": "key", "items": [{"key": "word", "path": "deep/word"}]}},
        {"name": "pod", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"name": "own", "emptyDir": {}},
        {"name": "none", "configMap": {"name": "nobody-has-it", "optional": True}},
    ]
    mounts = [{"name": each["name"], "mountPath": f"/var/run/v/{each['name']}"} for each in volumes]
    script = (
        'echo "$ALL; $LIMIT"; cd /var/run/v; cat settings/colour key/deep/word pod/labels; echo; touch own/file;'
        " ls none; touch /etc/file 2>&1; id -u; hostname"
    )
    locked = {"readOnlyRootFilesystem": True, "runAsUser": 4711, "capabilities": {"drop": ["ALL"]}}
    resources = {"limits": {"cpu": "1500m"}}
    shell = _shell(script, env=env, volumeMounts=mounts, securityContext=locked, resources=resources)
    text = _ran(machine, place, "look", shell, volumes=volumes)
    assert text.startswith('look red $(NAME) $(OTHER); 2\nredxyzzyapp="look"\n')
    assert "Read-only file system" in text
    assert text.endswith("\n4711\nlook\n")


def test_kube_a_pod_has_the_rights_of_its_service_account(machine: Node, place: str) -> None:
    machine.cluster.kubectl("create", "role", "reader", "--verb=list", "--resource=pods", "--namespace", place)
    account = f"--serviceaccount={place}:default"
    machine.cluster.kubectl("create", "rolebinding", "reader", "--role=reader", account, "--namespace", place)
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    url = f"https://kubernetes.default.svc/api/v1/namespaces/{place}"
    ask = f'curl -s --cacert {folder}/ca.crt -H "Authorization: Bearer $(cat {folder}/token)"'
    script = f"for what in pods secrets; do {ask} -o /dev/null -w '%{{http_code}} ' {url}/$what; done"
    assert _ran(machine, place, "ask", _shell(script)) == "200 403 "


def test_kube_init_containers_come_first_and_a_sidecar_ends_last(machine: Node, place: str) -> None:
    shared = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
    waits = "trap 'echo sidecar ends >> /shared/log; exit' TERM; echo sidecar >> /shared/log; touch /shared/up; "
    sidecar = _shell(waits + "while :; do sleep 0.1; done", restartPolicy="Always", **shared) | {"name": "sidecar"}
    sidecar["startupProbe"] = {"exec": {"command": ["test", "-e", "/shared/up"]}, "periodSeconds": 1}
    init = [_shell("echo init >> /shared/log", **shared) | {"name": "init"}, sidecar]
    main = _shell("echo main >> /shared/log; cat /shared/log", **shared)
    volumes = [{"name": "shared", "emptyDir": {}}]
    assert _ran(machine, place, "job", main, initContainers=init, volumes=volumes) == "init\nsidecar\nmain\n"
    [log] = machine.machine.folder.glob(f"pods/{place}_job/*/volumes/shared/log")
    assert log.read_text().endswith("sidecar ends\n")


def test_kube_a_container_that_ends_or_hangs_is_started_anew(machine: Node, place: str) -> None:
    hangs = _shell("touch /tmp/well; sleep 1; rm /tmp/well; sleep 1000") | {"name": "hangs"}
    hangs["livenessProbe"] = {
        "exec": {"command": ["test", "-e", "/tmp/well"]},
        "periodSeconds": 1,
        "failureThreshold": 1,
    }
    _create(machine, place, "shop", _shell("exit 3"), hangs, terminationGracePeriodSeconds=1)

    def restarts() -> dict[str, int]:
        statuses = _status(machine, place, "shop").get("containerStatuses", ())
        return {each["name"]: each["restartCount"] for each in statuses}

    until("both were", lambda: min(restarts().values(), default=0) >= 1)
    last = {each["name"]: each["lastState"] for each in _status(machine, place, "shop")["containerStatuses"]}
    assert last["shell"]["terminated"]["exitCode"] == 3


def test_kube_a_pod_ends_gracefully(machine: Node, place: str) -> None:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hook"]}}}
    script = "trap 'echo asked; sleep 1; echo done; exit' TERM; echo up; while :; do sleep 0.1; done"
    _create(machine, place, "shop", _shell(script, lifecycle=hook), terminationGracePeriodSeconds=20)
    log = machine.log_file(place, "shop", "shell")
    until("it runs", lambda: log.exists() and log.read_text() == "up\n")
    machine.cluster.kubectl("delete", "pod", "shop", "--namespace", place, "--timeout=20s")
    assert log.read_text() == "up\nhook\nasked\ndone\n"


def test_kube_what_the_node_cannot_do_is_said(machine: Node, place: str) -> None:
    _create(machine, place, "shop", DETAILS, volumes=[{"name": "v", "hostPath": {"path": "/"}}])
    until("it is said", lambda: "hostPath" in json.dumps(_status(machine, place, "shop").get("message", "")))
    assert _status(machine, place, "shop")["phase"] == "Pending"
