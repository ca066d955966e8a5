"""What holds for every Pod."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonpatch
from hypothesis import given, settings
from hypothesis import strategies as st

from mizzen.injector.injection.inject import Place, inject
from mizzen.injector.injection.merge import merge
from mizzen.injector.injection.settings import Settings, read_settings

NAMES = st.sampled_from(["app", "web", "db", "istio-proxy", "istio-init", "migrate"])
PORTS = st.integers(1, 14999) | st.sampled_from(["http", "nameless", 15020])
SCALARS = st.booleans() | st.integers(-5, 5) | st.text(max_size=4)


def _values(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars,
        lambda children: st.lists(children, max_size=2) | st.dictionaries(st.text(max_size=4), children, max_size=2),
        max_leaves=4,
    )


JSON = _values(st.none() | SCALARS)
NO_NULLS = _values(SCALARS)
"""In a container that the template has too, null is no value: it says that a field should not be there."""
PROBES = st.fixed_dictionaries(
    {},
    optional={
        "httpGet": st.fixed_dictionaries(
            {"port": PORTS}, optional={"path": st.just("/ok"), "scheme": st.just("HTTPS")}
        ),
        "tcpSocket": st.fixed_dictionaries({"port": PORTS}),
        "timeoutSeconds": st.integers(1, 9),
        "exec": st.just({"command": ["true"]}),
    },
)
CONTAINERS = st.fixed_dictionaries(
    {"name": NAMES, "image": st.sampled_from(["auto-app:1", "x"])},
    optional={
        "ports": st.just([{"name": "http", "containerPort": 8080}]),
        "env": st.just([{"name": "A", "value": "1"}, {"name": "POD_NAME", "value": "mine"}]),
        "livenessProbe": PROBES,
        "readinessProbe": PROBES,
        "lifecycle": st.fixed_dictionaries({}, optional={"preStop": PROBES}),
        "securityContext": st.sampled_from([{"runAsUser": 2000}, {"runAsUser": 1337}]),
        "unknownField": NO_NULLS,
    },
)


def _unique(containers: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(containers, max_size=3, unique_by=lambda container: container["name"])


ANNOTATIONS = st.fixed_dictionaries(
    {},
    optional={
        "prometheus.io/port": st.sampled_from(["9090", "15020"]),
        "prometheus.io/scrape": st.sampled_from(["true", "false"]),
        "sidecar.istio.io/nativeSidecar": st.sampled_from(["true", "false"]),
        "sidecar.istio.io/interceptionMode": st.sampled_from(["REDIRECT", "TPROXY", "NONE"]),
        "status.sidecar.istio.io/port": st.sampled_from(["0", "15020", "15099"]),
        "proxy.istio.io/config": st.sampled_from(["holdApplicationUntilProxyStarts: true", "concurrency: 3"]),
        "inject.istio.io/templates": st.sampled_from(["sidecar", "gateway", "sidecar,extra", "extra"]),
        "kubectl.kubernetes.io/default-container": st.just("db"),
        "other": st.text(max_size=5),
    },
)


@st.composite
def pods(draw: st.DrawFn) -> dict[str, Any]:
    """Pods of all shapes, with container names in one list only."""
    spec: dict[str, Any] = {"containers": draw(_unique(CONTAINERS))}
    if all(container["name"].startswith("istio-") for container in spec["containers"]):
        spec["containers"].append({"name": "app", "image": "x"})
    taken = {container["name"] for container in spec["containers"]}
    taken.add("web")  # of the template "extra"
    starting = [container for container in draw(_unique(CONTAINERS)) if container["name"] not in taken]
    if starting or draw(st.booleans()):
        spec["initContainers"] = starting
    if draw(st.booleans()):
        spec["volumes"] = [{"name": draw(st.sampled_from(["data", "istio-envoy"])), "emptyDir": {}}]
    spec["unknown"] = draw(JSON)
    metadata = {"name": "p", "annotations": draw(ANNOTATIONS), "labels": draw(st.sampled_from([{}, {"app": "a"}]))}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "more": draw(JSON)}
    return json.loads(json.dumps(pod))


@st.composite
def configurations(draw: st.DrawFn) -> Settings:
    """Settings of an injector."""
    policy = """
templates:
  extra: "{spec: {containers: [{name: web, image: t, env: [{name: A, value: '2'}, {name: B, value: '3'}]}]}}"
"""
    values = draw(st.sampled_from(["", "global: {network: n1}", "global: {imagePullSecrets: [reg]}"]))
    return read_settings(values, policy=policy, native_sidecars=draw(st.booleans()))


PLACE = Place("shop")


@settings(max_examples=60, deadline=None)
@given(pods(), configurations())
def test_an_injected_pod_is_not_injected_again(pod: dict[str, Any], configuration: Settings) -> None:
    injected = inject(pod, configuration, PLACE).pod
    again = inject(injected, configuration, PLACE)
    assert again.pod == injected
    assert again.patch(injected) == []


@settings(max_examples=60, deadline=None)
@given(pods(), configurations())
def test_the_patch_makes_the_pod_and_the_argument_stays(pod: dict[str, Any], configuration: Settings) -> None:
    before = copy.deepcopy(pod)
    injected = inject(pod, configuration, PLACE)
    assert pod == before
    assert jsonpatch.apply_patch(pod, injected.patch(pod)) == injected.pod


@settings(max_examples=50, deadline=None)
@given(pods(), configurations())
def test_what_the_engine_does_not_know_is_untouched(pod: dict[str, Any], configuration: Settings) -> None:
    injected = inject(pod, configuration, PLACE).pod
    assert injected["more"] == pod["more"]
    assert injected["spec"]["unknown"] == pod["spec"]["unknown"]
    after = {
        container["name"]: container
        for section in ("initContainers", "containers")
        for container in injected["spec"].get(section, [])
    }
    for section in ("initContainers", "containers"):
        for container in pod["spec"].get(section, []):
            if "unknownField" in container:
                assert after[container["name"]]["unknownField"] == container["unknownField"]


@settings(max_examples=50, deadline=None)
@given(pods(), configurations())
def test_another_webhook_may_add_a_container_in_between(pod: dict[str, Any], configuration: Settings) -> None:
    late = {"name": "late", "image": "l", "livenessProbe": {"httpGet": {"path": "/l", "port": 81}}}
    between = inject(pod, configuration, PLACE).pod
    between["spec"]["containers"].append(late)
    pod["spec"]["containers"].append(late)
    at_once = inject(pod, configuration, PLACE).pod
    again = inject(between, configuration, PLACE).pod
    assert _by_name(again) == _by_name(at_once)


def _by_name(pod: dict[str, Any]) -> dict[str, Any]:
    return {container["name"]: container for container in pod["spec"]["containers"]}


def test_strategic_merge() -> None:
    below = {"containers": [{"name": "a", "args": ["1"], "env": [{"name": "X", "value": "1"}]}, {"name": "b"}], "k": 1}
    above = {
        "containers": [
            {"name": "c"},
            {"name": "a", "args": ["2"], "env": [{"name": "Y", "value": "2"}, {"name": "X", "$patch": "delete"}]},
            {"name": "b", "$patch": "delete"},
        ],
        "k": None,
    }
    assert merge(below, above) == {
        "containers": [{"name": "a", "args": ["2"], "env": [{"name": "Y", "value": "2"}]}, {"name": "c"}]
    }
    assert merge({"m": {"a": 1}}, {"m": {"$patch": "replace", "b": 2}}) == {"m": {"b": 2}}
