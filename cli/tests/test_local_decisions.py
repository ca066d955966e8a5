"""The local runtime's decisions: which pods, which addresses, which endpoints, which URLs. No process, no socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mizzen.api.kubernetes import Container
from mizzen.api.parse import parse
from mizzen.api.resource import Resource
from mizzen.cli.local.commands import app_command
from mizzen.cli.local.desired import PodTemplateSpec, pod_templates
from mizzen.cli.local.environment import expand
from mizzen.cli.local.gateway import gateway_pod, gateway_service
from mizzen.cli.local.health import Probes
from mizzen.cli.local.home import Home
from mizzen.cli.local.layout import allot, app_address, sidecar_address
from mizzen.cli.local.planned import workload_addresses
from mizzen.cli.local.probe import Probe
from mizzen.cli.local.reconcile import Action, PodKey, Running, Start, Stop, reconcile
from mizzen.cli.local.urls import entry_urls
from mizzen.pilot.ingest.registry.objects import Serving, endpoint_slices, pod_object


def resources(text: str) -> list[Resource]:
    parsed = parse(text)
    assert parsed.problems == ()
    return list(parsed.resources)


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: %d
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, version: v1}}
    spec:
      serviceAccountName: web
      containers:
      - name: web
        command: %s
        ports: [{name: http, containerPort: 8000}]
"""


def templates(replicas: int = 1, command: str = "[serve]") -> dict[tuple[str, str], PodTemplateSpec]:
    return pod_templates(resources(DEPLOYMENT % (replicas, command)))


def revision(command: str = "[serve]") -> str:
    return templates(1, command)["shop", "web"].revision


def key(ordinal: int) -> PodKey:
    return PodKey("shop", "web", ordinal)


OLD = "old-revision"


def pod(ordinal: int, state: str = "ready") -> Running:
    """`state` is made of the words ready, old and stopping."""
    words = state.split()
    return Running(key(ordinal), OLD if "old" in words else revision(), "ready" in words, "stopping" in words)


def test_a_template_carries_what_a_pod_needs() -> None:
    template = templates(3)["shop", "web"]
    assert (template.replicas, dict(template.labels)) == (3, {"app": "web", "version": "v1"})
    assert template.service_account == "web"
    assert template.complaint == ""


def test_replicas_do_not_change_the_revision_but_the_command_does() -> None:
    assert templates(1)["shop", "web"].revision == templates(5)["shop", "web"].revision
    assert revision() != revision("[serve, --fast]")


TWO_PORTS = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}, {name: more, port: 81}]}
"""


def test_it_is_known_beforehand_where_pods_will_listen() -> None:
    known = resources(f"{DEPLOYMENT % (2, '[serve]')}---{TWO_PORTS}")
    planned = workload_addresses(known, {"shop/web-2": 5, "shop/gone-1": 1})
    sidecars = {(f"127.1.0.{number}", port) for number in (2, 5) for port in (15000, 15007, 15021, 15090, 8000, 81)}
    assert set(planned) == sidecars | {("127.2.0.2", 8000), ("127.2.0.5", 8000)}
    assert len(planned) == len(set(planned))
    assert workload_addresses(resources(DEPLOYMENT % (2, "[]")), {}) == []


def test_an_image_without_a_command_is_named_and_not_run() -> None:
    desired = templates(1, "[]")
    assert "container web has no command" in desired["shop", "web"].complaint
    assert reconcile(desired, []) == []


@pytest.mark.parametrize(
    ("replicas", "running", "expected"),
    [
        (0, [], []),
        (2, [], [Start(key(1)), Start(key(2))]),
        (2, [pod(1), pod(2, "starting")], []),
        (3, [pod(2)], [Start(key(1)), Start(key(3))]),
        # scale down: what is not ready first, then the highest ordinal
        (1, [pod(1), pod(2)], [Stop(key(2))]),
        (1, [pod(1, ""), pod(2)], [Stop(key(1))]),
        (0, [pod(1), pod(2)], [Stop(key(1)), Stop(key(2))]),
        # a pod on its way out keeps its name and address to itself
        (1, [pod(1, "stopping")], [Start(key(2))]),
        (1, [pod(1), pod(2, "stopping")], []),
        # a new template: first the new pod, and the old one stops when that is ready
        (1, [pod(1, "old ready")], [Start(key(2))]),
        (1, [pod(1, "old ready"), pod(2, "")], []),
        (1, [pod(1, "old ready"), pod(2)], [Stop(key(1))]),
        (2, [pod(1, "old ready"), pod(2, "old"), pod(3), pod(4, "")], [Stop(key(2))]),
        (0, [pod(1, "old ready")], [Stop(key(1))]),
    ],
)
def test_actions(replicas: int, running: list[Running], expected: list[Action]) -> None:
    assert reconcile(templates(replicas), running) == expected


def test_pods_of_a_deleted_deployment_stop() -> None:
    assert reconcile({}, [pod(1), pod(2, "stopping")]) == [Stop(key(1))]


def obey(running: dict[PodKey, Running], actions: list[Action]) -> None:
    for action in actions:
        if isinstance(action, Start):
            assert action.key not in running
            running[action.key] = pod(action.key.ordinal, "")
        else:
            del running[action.key]


@given(
    st.integers(0, 5),
    st.lists(st.sampled_from(["", "ready", "old", "old ready", "stopping", "old stopping"]), max_size=8),
)
def test_reconciling_ends_with_exactly_the_replicas_and_never_serves_with_fewer(
    replicas: int, states: list[str]
) -> None:
    running = {key(i): pod(i, state) for i, state in enumerate(states, 1)}
    for _ in range(20):
        served = sum(item.ready for item in running.values() if not item.stopping)
        actions = reconcile(templates(replicas), running.values())
        obey(running, actions)
        now = sum(item.ready for item in running.values() if not item.stopping)
        assert now >= min(served, replicas)
        if not actions and all(item.ready or item.stopping for item in running.values()):
            break
        # the world moves on: what stops is gone, what was started gets ready
        running = {
            name: Running(name, item.revision, ready=True) for name, item in running.items() if not item.stopping
        }
    current = [item for item in running.values() if not item.stopping]
    assert len(current) == replicas
    assert {item.revision for item in current} <= {revision()}


SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: %s}
"""


def serving(name: str, address: str = "127.1.0.1", **changes: Any) -> Serving:
    fields = {"labels": {"app": "web"}, "ready": True, "named_ports": {"http": 8000}} | changes
    return Serving("shop", name, address, **fields)


def test_a_slice_lists_the_ready_pods_of_the_selector_and_namespace() -> None:
    pods = [
        serving("web-2", "127.1.0.2"),
        serving("web-1", "127.1.0.1"),
        serving("web-3", "127.1.0.3", ready=False),
        serving("other-1", "127.1.0.4", labels={"app": "other"}),
        Serving("elsewhere", "web-1", "127.1.0.5", {"app": "web"}, True),
    ]
    (only,) = endpoint_slices(resources(SERVICE % "8000"), pods)
    assert [point["addresses"] for point in only["endpoints"]] == [["127.1.0.1"], ["127.1.0.2"]]
    assert only["ports"] == [{"name": "http", "port": 8000, "protocol": "TCP"}]
    assert only["metadata"]["labels"] == {"kubernetes.io/service-name": "web"}


def test_a_named_target_port_is_each_pods_own() -> None:
    pods = [
        serving("web-1"),
        serving("web-2", "127.1.0.2", named_ports={"http": 9000}),
        serving("web-3", "127.1.0.3", named_ports={}),
    ]
    slices = endpoint_slices(resources(SERVICE % "http"), pods)
    assert [(item["ports"][0]["port"], len(item["endpoints"])) for item in slices] == [(8000, 1), (9000, 1)]
    assert len({item["metadata"]["name"] for item in slices}) == 2


def test_no_ready_pod_no_slice() -> None:
    assert endpoint_slices(resources(SERVICE % "8000"), [serving("web-1", ready=False)]) == []


def test_the_port_itself_is_the_target_when_none_is_given() -> None:
    service = resources("apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n"
                        "spec: {selector: {app: web}, ports: [{port: 80}]}")  # fmt: skip
    (only,) = endpoint_slices(service, [serving("web-1")])
    assert only["ports"][0]["port"] == 80


@given(st.lists(st.tuples(st.sampled_from(["web", "api"]), st.booleans()), max_size=6))
def test_what_the_runtime_writes_is_what_the_api_reads(pods: list[tuple[str, bool]]) -> None:
    live = [
        serving(f"{app}-{n}", f"127.1.0.{n}", labels={"app": app}, ready=ready)
        for n, (app, ready) in enumerate(pods, 1)
    ]
    written = [*map(pod_object, live), *endpoint_slices(resources(SERVICE % "8000"), live)]
    read = resources(yaml.safe_dump_all(written))
    assert len(read) == len(written)
    listed = {a for item in read if item.kind == "EndpointSlice" for p in item.spec.endpoints for a in p.addresses}  # type: ignore[attr-defined]
    assert listed == {item.address for item in live if item.ready and item.labels["app"] == "web"}


def test_the_gateways_service_selects_its_pod() -> None:
    (only,) = endpoint_slices([gateway_service()], [gateway_pod(True)])
    assert {(port["name"], port["port"]) for port in only["ports"]} == {
        ("http2", 8080),
        ("https", 8443),
        ("http-8080", 8080),
    }
    assert only["endpoints"][0]["addresses"] == ["127.0.0.1"]


def test_addresses_go_on_after_255() -> None:
    assert (sidecar_address(3), app_address(3)) == ("127.1.0.3", "127.2.0.3")
    assert sidecar_address(256) == "127.1.1.0"


@pytest.mark.parametrize(
    ("remembered", "in_use", "expected"),
    [
        ({}, set(), 1),
        ({"a": 1}, {1}, 2),
        ({"me": 7}, {1}, 7),
        ({"me": 7}, {7}, 1),
        ({"gone": 1, "a": 2}, {2}, 3),
    ],
)
def test_a_pod_keeps_its_number_and_takes_nobody_elses(
    remembered: dict[str, int], in_use: set[int], expected: int
) -> None:
    assert allot("me", remembered, in_use) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$(HOST):80", "h:80"), ("$$(HOST)", "$(HOST)"), ("$(NONE)", "$(NONE)"), ("$HOST $", "$HOST $"), ("a$$b", "a$b")],
)
def test_references_expand_as_in_kubernetes(text: str, expected: str) -> None:
    assert expand(text, {"HOST": "h"}) == expected


DOOR = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: ["%s"]
  gateways: [%s]
  http:
  - match: [{uri: {regex: /a.*}}, {uri: {exact: /page}}]
    route: [{destination: {host: web}}]
"""


@pytest.mark.parametrize(
    ("host", "gateway", "expected"),
    [
        ("*", "door", ["http://127.0.0.1:8080/page"]),
        ("*", "default/door", ["http://127.0.0.1:8080/page"]),
        ("*", "mesh", []),
        ("shop.example", "door", []),
    ],
)
def test_urls_are_those_of_the_ingress_gateway(host: str, gateway: str, expected: list[str]) -> None:
    parsed = parse(DOOR % (host, gateway))
    assert entry_urls(parsed.resources) == expected


PROBES = """
name: web
command: [serve]
ports: [{name: http, containerPort: 8000}]
livenessProbe: {httpGet: {path: alive, port: http}, periodSeconds: 7, failureThreshold: 4}
startupProbe: {tcpSocket: {port: 8001}, initialDelaySeconds: 2}
"""


def test_a_container_is_probed_as_its_template_says(tmp_path: Path) -> None:
    home, address = Home(tmp_path), "127.2.0.1"
    container = Container.model_validate(yaml.safe_load(PROBES))
    probes = app_command(home, {}, key(1), container, "app", 1).probes
    assert probes.readiness == Probe(address, 8000)
    assert probes.liveness == Probe(address, 8000, "/alive", period=7.0, failures=4)
    assert probes.startup == Probe(address, 8001, delay=2.0)
    bare = Container.model_validate({"name": "web", "command": ("serve",)})
    assert app_command(home, {}, key(1), bare, "app", 1).probes == Probes()
