"""What came of the Gateway API's objects: conditions by the specification, and what a change concerns."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mizzen.api.gatewayapi.gateway import LabelSelector
from mizzen.api.parse import parse
from mizzen.api.resource import ResourceKey
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.base.registry import RegistrySnapshot
from mizzen.pilot.generate.affects import affected_types
from mizzen.pilot.snapshot.build import build
from mizzen.pilot.snapshot.diff import difference
from mizzen.pilot.snapshot.gatewayapi.listeners import selects
from mizzen.pilot.snapshot.gatewayapi.matches import grpc_path
from mizzen.pilot.snapshot.mesh import Mesh

BASE = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {ports: [{name: http, port: 9080}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: mizzen}
spec: {controllerName: mizzen.io/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec: {gatewayClassName: mizzen, listeners: [$LISTENERS]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: $NAMESPACE}
spec: {parentRefs: [$PARENT], hostnames: [$HOSTS], rules: [{$RULE}]}
---
"""
HTTP = "{name: http, port: 80, protocol: HTTP}"
SERVICE = "backendRefs: [{name: reviews, namespace: shop, port: 9080}]"


def mesh_of(
    *more: str,
    listeners: str = HTTP,
    namespace: str = "shop",
    parent: str = "{name: edge, namespace: shop}",
    hosts: str = "",
    rule: str = SERVICE,
    previous: Mesh | None = None,
) -> Mesh:
    text = BASE.replace("$LISTENERS", listeners).replace("$NAMESPACE", namespace).replace("$PARENT", parent)
    parsed = parse("---\n".join((text.replace("$HOSTS", hosts).replace("$RULE", rule), *more)))
    assert not parsed.errors, [str(problem) for problem in parsed.errors]
    return build(parsed.resources, RegistrySnapshot(), previous, "1", MeshConfig())


def conditions(mesh: Mesh, kind: str) -> list[str]:
    """As `about: type=status (reason)`."""
    found = []
    for key, state in mesh.translation.states.items():
        if key.kind == kind:
            found += [f"{path}: {c.type}={c.status} ({c.reason})" for path, c in state.all_conditions()]
    return found


GATEWAY = "Gateway.gateway.networking.k8s.io"
GOOD_LISTENER = [
    "Accepted=True (Accepted)",
    "Conflicted=False (NoConflicts)",
    "ResolvedRefs=True (ResolvedRefs)",
    "Programmed=True (Programmed)",
]


def listener(number: int, *states: str) -> list[str]:
    return [f"spec.listeners[{number}]: {state}" for state in states]


@pytest.mark.parametrize(
    ("listeners", "expected"),
    [
        (
            HTTP,
            [
                "spec: Accepted=True (Accepted)",
                "spec: Programmed=True (Programmed)",
                *listener(0, *GOOD_LISTENER),
            ],
        ),
        (
            f"{HTTP}, {{name: tls, port: 443, protocol: TLS, tls: {{}}}}",
            [
                "spec: Accepted=True (ListenersNotValid)",
                "spec: Programmed=True (Programmed)",
                *listener(0, *GOOD_LISTENER),
                *listener(
                    1,
                    "Accepted=False (UnsupportedProtocol)",
                    "Conflicted=False (NoConflicts)",
                    "ResolvedRefs=True (ResolvedRefs)",
                    "Programmed=False (Invalid)",
                ),
            ],
        ),
        (
            "{name: a, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: TCPRoute}]}}",
            [
                "spec: Accepted=False (ListenersNotValid)",
                "spec: Programmed=False (Invalid)",
                *listener(
                    0,
                    "Accepted=True (Accepted)",
                    "Conflicted=False (NoConflicts)",
                    "ResolvedRefs=False (InvalidRouteKinds)",
                    "Programmed=False (Invalid)",
                ),
            ],
        ),
        (
            "{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: TCP}",
            [
                "spec: Accepted=False (ListenersNotValid)",
                "spec: Programmed=False (Invalid)",
                *listener(
                    0,
                    "Accepted=True (Accepted)",
                    "Conflicted=True (ProtocolConflict)",
                    "ResolvedRefs=True (ResolvedRefs)",
                    "Programmed=False (Invalid)",
                ),
                *listener(
                    1,
                    "Accepted=False (UnsupportedProtocol)",
                    "Conflicted=True (ProtocolConflict)",
                    "ResolvedRefs=True (ResolvedRefs)",
                    "Programmed=False (Invalid)",
                ),
            ],
        ),
    ],
)
def test_gateways(listeners: str, expected: list[str]) -> None:
    mesh = mesh_of(listeners=listeners)
    assert conditions(mesh, GATEWAY) == expected
    assert conditions(mesh, "GatewayClass") == ["spec: Accepted=True (Accepted)"]


@pytest.mark.parametrize(
    ("changes", "accepted", "resolved"),
    [
        ({}, "True (Accepted)", "True (ResolvedRefs)"),
        ({"namespace": "other"}, "False (NotAllowedByListeners)", "False (RefNotPermitted)"),
        ({"parent": "{name: edge, sectionName: https}"}, "False (NoMatchingParent)", "True (ResolvedRefs)"),
        ({"parent": "{name: edge, port: 81}"}, "False (NoMatchingParent)", "True (ResolvedRefs)"),
        (
            {"listeners": "{name: http, port: 80, protocol: HTTP, hostname: a.com}", "hosts": "b.com"},
            "False (NoMatchingListenerHostname)",
            "True (ResolvedRefs)",
        ),
        ({"rule": "backendRefs: [{name: gone, port: 80}]"}, "True (Accepted)", "False (BackendNotFound)"),
        ({"rule": "backendRefs: [{name: reviews, port: 80}]"}, "True (Accepted)", "False (BackendNotFound)"),
        ({"rule": "backendRefs: [{group: a.b, kind: C, name: reviews}]"}, "True (Accepted)", "False (InvalidKind)"),
        (
            {"rule": "filters: [{type: ExtensionRef, extensionRef: {group: a.b, kind: C, name: d}}]"},
            "False (UnsupportedValue)",
            "True (ResolvedRefs)",
        ),
        ({"parent": "{group: '', kind: Service, name: reviews}"}, "True (Accepted)", "True (ResolvedRefs)"),
        ({"parent": "{group: '', kind: Service, name: gone}"}, "False (NoMatchingParent)", "True (ResolvedRefs)"),
    ],
)
def test_routes(changes: dict[str, Any], accepted: str, resolved: str) -> None:
    found = [text.partition(": ")[2] for text in conditions(mesh_of(**changes), "HTTPRoute")]
    assert found == [f"Accepted={accepted}", f"ResolvedRefs={resolved}"]


def test_a_parent_of_somebody_else_is_not_spoken_of() -> None:
    assert conditions(mesh_of(parent="{name: another}"), "HTTPRoute") == []


def classes(*given: tuple[str, str]) -> str:
    text = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{name: {}}}
spec: {{controllerName: {}}}
"""
    return "---".join(text.format(*each) for each in given)


@pytest.mark.parametrize(
    ("given", "is_ours"),
    [
        ((), True),
        ((("istio", "mizzen.io/gateway-controller"),), True),
        ((("istio", "istio.io/gateway-controller"),), False),
        ((("other", "istio.io/gateway-controller"),), True),
    ],
    ids=str,
)
def test_istios_own_class_needs_no_object(given: tuple[tuple[str, str], ...], is_ours: bool) -> None:
    gateway = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: bookinfo-gateway, namespace: shop}
spec:
  gatewayClassName: istio
  listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Same}}}]
"""
    states = mesh_of(gateway, classes(*given)).translation.states
    assert (ResourceKey(GATEWAY, "shop", "bookinfo-gateway") in states) == is_ours


def test_what_does_not_work_is_a_warning_with_its_reason() -> None:
    (problem,) = mesh_of(rule="backendRefs: [{name: gone, port: 80}]").problems
    assert (problem.severity, problem.resource) == ("warning", "HTTPRoute shop/web")
    assert problem.message == ("ResolvedRefs is False: BackendNotFound: Service shop/gone with port 80 does not exist")


def test_the_share_of_a_missing_backend_fails() -> None:
    rule = "backendRefs: [{name: reviews, port: 9080, weight: 3}, {name: gone, port: 80, weight: 1}]"
    (routing,) = mesh_of(rule=rule).translation.routings
    (route,) = routing.http
    assert [entry.destination.host for entry in route.route] == ["reviews.shop.svc.cluster.local"]
    assert route.fault is not None
    assert route.fault.abort is not None
    assert (route.fault.abort.http_status, route.fault.abort.percentage.value) == (500, 25.0)  # type: ignore[union-attr]


def test_limits_and_mirrors() -> None:
    rule = (
        f"{SERVICE}, timeouts: {{request: 3s, backendRequest: 1s}}, filters: "
        "[{type: RequestMirror, requestMirror: {backendRef: {name: reviews, port: 9080}, "
        "fraction: {numerator: 1, denominator: 4}}}]"
    )
    (routing,) = mesh_of(rule=rule).translation.routings
    (route,) = routing.http
    assert route.timeout is not None
    assert route.retries is not None
    assert route.retries.per_try_timeout is not None
    assert (route.timeout.seconds, route.retries.per_try_timeout.seconds) == (3, 1)
    assert [mirror.percentage.value for mirror in route.mirrors if mirror.percentage] == [25.0]


def test_attached_routes_are_counted() -> None:
    state = next(s for key, s in mesh_of().translation.states.items() if key.kind == GATEWAY)
    assert [(entry.name, entry.kinds, entry.attached) for entry in state.listeners] == [
        ("http", ("HTTPRoute", "GRPCRoute"), 1)
    ]


SELECTING = (
    "{name: http, port: 80, protocol: HTTP, "
    "allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}}"
)


def test_a_label_of_a_namespace_reaches_the_gateway_alone(router: Any, sidecar: Any) -> None:
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, labels: {{a: {}}}}}\n"
    old = mesh_of(namespace.format("c"), listeners=SELECTING)
    new = mesh_of(namespace.format("b"), listeners=SELECTING, previous=old)
    assert (len(old.translation.routings), len(new.translation.routings)) == (0, 1)
    change = difference(old, new)
    assert change
    assert not change.endpoints_only
    assert [url.rpartition(".")[2] for url in affected_types(change, router(), old, new)] == [
        "Listener",
        "RouteConfiguration",
    ]
    assert affected_types(change, sidecar(), old, new) == ()


def test_what_stays_is_the_same_object() -> None:
    old = mesh_of()
    new = mesh_of(previous=old)
    assert new.translation.routings[0] is old.translation.routings[0]
    assert not difference(old, new)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("{key: a, operator: In, values: [b]}", True),
        ("{key: a, operator: NotIn, values: [b]}", False),
        ("{key: z, operator: NotIn, values: [b]}", True),
        ("{key: a, operator: Exists}", True),
        ("{key: a, operator: DoesNotExist}", False),
        ("{key: z, operator: In, values: [b]}", False),
    ],
)
def test_selectors(expression: str, expected: bool) -> None:
    key, operator, *values = re.findall(r"\w+(?=[,}\]])", expression)
    selector = LabelSelector.model_validate(
        {"matchExpressions": [{"key": key, "operator": operator, "values": values}]}
    )
    assert selects(selector, {"a": "b"}) is expected


def test_a_call_without_a_method_is_any() -> None:
    assert grpc_path(None).value == "/"
