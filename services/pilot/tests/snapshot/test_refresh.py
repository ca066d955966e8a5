"""Endpoints that are refreshed are those that a build from nothing would find."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mizzen.api.parse import parse, parse_object
from mizzen.api.resource import Resource, ResourceKey
from mizzen.pilot.base.registry import RegistrySnapshot
from mizzen.pilot.snapshot.build import build, refresh_endpoints

MESH = """
apiVersion: v1
kind: Service
metadata: {name: a, namespace: one}
spec: {selector: {app: a}, ports: [{port: 80, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: one}
spec: {selector: {app: b}, ports: [{port: 80, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: a, namespace: two}
spec: {selector: {app: a}, ports: [{port: 80, name: http}], publishNotReadyAddresses: true}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: chosen, namespace: one}
spec:
  hosts: [chosen.example.com]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: a}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s, namespace: one, labels: {kubernetes.io/service-name: a}}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints:
- {addresses: [10.0.0.1], nodeName: n, targetRef: {kind: Pod, name: p}}
- {addresses: [10.0.0.2], nodeName: n, targetRef: {kind: Pod, name: q}}
---
apiVersion: v1
kind: Endpoints
metadata: {name: b, namespace: one}
subsets: [{addresses: [{ip: 10.0.0.2, targetRef: {kind: Pod, name: q}}], ports: [{name: http, port: 80}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: one, labels: {app: a}}
spec: {nodeName: n, containers: [{name: app, image: app}]}
status: {phase: Running, podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: q, namespace: one, labels: {app: b}}
spec: {nodeName: n, containers: [{name: app, image: app}]}
status: {phase: Running, podIP: 10.0.0.2}
"""
NAMESPACES = st.sampled_from(["one", "two"])
APPS = st.sampled_from(["a", "b"])
ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"])
PODS = st.sampled_from(["p", "q"])


@st.composite
def slices(draw: Any) -> dict[str, Any]:
    ends = [
        {
            "addresses": [draw(ADDRESSES)],
            "conditions": {"ready": draw(st.booleans()), "terminating": draw(st.booleans())},
            "nodeName": draw(st.sampled_from(["", "n"])),
            "targetRef": {"kind": draw(st.sampled_from(["Pod", "Node"])), "name": draw(PODS)},
        }
        for _ in range(draw(st.integers(0, 2)))
    ]
    labels = {"kubernetes.io/service-name": draw(APPS)}
    metadata = {"name": draw(st.sampled_from(["s", "t"])), "namespace": draw(NAMESPACES), "labels": labels}
    ports = [{"name": "http", "port": 80}]
    return _object("discovery.k8s.io/v1", "EndpointSlice", metadata, addressType="IPv4", ports=ports, endpoints=ends)


@st.composite
def endpoints(draw: Any) -> dict[str, Any]:
    metadata = {"name": draw(APPS), "namespace": draw(NAMESPACES)}
    address = {"ip": draw(ADDRESSES), "targetRef": {"kind": "Pod", "name": draw(PODS)}}
    subsets = [
        {draw(st.sampled_from(["addresses", "notReadyAddresses"])): [address], "ports": [{"name": "http", "port": 80}]}
    ]
    return _object("v1", "Endpoints", metadata, subsets=subsets)


@st.composite
def pods(draw: Any) -> dict[str, Any]:
    metadata = {"name": draw(PODS), "namespace": draw(NAMESPACES), "labels": {"app": draw(APPS)}}
    ready = {"type": "Ready", "status": draw(st.sampled_from(["True", "False"]))}
    status = {"phase": "Running", "podIP": draw(ADDRESSES), "conditions": [ready]}
    containers = [{"name": "app", "image": "app"}]
    return _object("v1", "Pod", metadata, spec={"nodeName": "n", "containers": containers}, status=status)


@st.composite
def nodes(draw: Any) -> dict[str, Any]:
    labels = {"topology.kubernetes.io/region": draw(st.sampled_from(["eu", "us"]))}
    return _object("v1", "Node", {"name": "n", "labels": labels})


@st.composite
def workload_entries(draw: Any) -> dict[str, Any]:
    metadata = {"name": "w", "namespace": draw(NAMESPACES), "labels": {"app": draw(APPS)}}
    return _object("networking.istio.io/v1", "WorkloadEntry", metadata, spec={"address": draw(ADDRESSES)})


OBJECTS = st.one_of(slices(), endpoints(), pods(), nodes(), workload_entries())
CHANGES = st.lists(st.tuples(st.booleans(), OBJECTS), min_size=1, max_size=4)
"""Whether something is removed, and what."""


def _object(version: str, kind: str, metadata: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **parts}


@settings(max_examples=400)
@given(st.lists(CHANGES, min_size=1, max_size=4))
def test_refreshing_is_building(bursts: list[list[tuple[bool, dict[str, Any]]]]) -> None:
    known: dict[ResourceKey, Resource] = {resource.key: resource for resource in parse(MESH).resources}
    mesh = build((), RegistrySnapshot(tuple(known.values())), None, "0")
    for burst in bursts:
        keys = set()
        for is_removed, given_object in burst:
            parsed = parse_object(given_object)
            assert not parsed.problems, parsed.problems
            [resource] = parsed.resources
            keys.add(resource.key)
            if is_removed:
                known.pop(resource.key, None)
            else:
                known[resource.key] = resource
        mesh = refresh_endpoints(keys, known, mesh, "1")
        whole = build((), RegistrySnapshot(tuple(known.values())), None, "1")
        refreshed, built = ({key: found for key, found in each.endpoints.items() if found} for each in (mesh, whole))
        assert refreshed == built
        assert mesh.resources == whole.resources
