"""What cannot be generated is told, named, and takes nothing else with it. The faults here are made up."""

from collections.abc import Callable
from typing import Any

import pytest
from envoy.config.route.v3 import route_pb2
from google.protobuf import any_pb2

from mizzen.pilot.generate import (
    clusters,
    gatewaylisteners,
    httproute,
    inboundlisteners,
    outbound,
    trafficpolicy,
    typeurls,
)
from mizzen.pilot.generate.api import generate
from mizzen.pilot.generate.cache import Cache

YAML = """
apiVersion: v1
kind: Service
metadata: {name: good}
spec: {clusterIP: 10.96.0.1, ports: [{port: 80, name: http}, {port: 3306, name: tcp}]}
---
apiVersion: v1
kind: Service
metadata: {name: bad}
spec: {clusterIP: 10.96.0.2, ports: [{port: 80, name: http}, {port: 9000, name: tcp}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: bad-rule}
spec: {host: bad, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}, subsets: [{name: v1}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bad-routes}
spec: {hosts: [bad, bad.example.com], gateways: [mesh, edge], http: [{name: bad, route: [{destination: {host: bad}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: good-routes}
spec: {hosts: [good.example.com], gateways: [edge], http: [{name: good, route: [{destination: {host: good}}]}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
  - {port: {number: 81, name: http-81, protocol: HTTP}, hosts: ["*"]}
"""


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make a function raise for arguments of which one says so."""

    def install(module: Any, name: str, when: Callable[..., bool]) -> None:
        real = getattr(module, name)

        def wrapper(*args: Any, **options: Any) -> Any:
            if when(*args):
                raise LookupError("made up")
            return real(*args, **options)

        monkeypatch.setattr(module, name, wrapper)

    return install


def make(type_url: str, proxy: Any, mesh: Any, *names: str) -> Any:
    return generate(type_url, proxy, mesh, frozenset(names) or None, cache=Cache())


def replies(made: Any, name: str) -> dict[str, tuple[str, int]]:
    """By domain of a substitute: the name of the route, and the status of its direct response."""
    message = route_pb2.RouteConfiguration()
    assert any_pb2.Any.FromString(made.substitutes[name].body).Unpack(message)
    return {
        domain: (host.routes[0].name, host.routes[0].direct_response.status)
        for host in message.virtual_hosts
        for domain in host.domains
    }


def test_one_cluster(world: Any, sidecar: Any, broken: Any) -> None:
    mesh = world(YAML).mesh
    whole = make(typeurls.CLUSTER, sidecar(), mesh).resources
    broken(trafficpolicy, "pool", lambda _, settings: settings is not None)
    made = make(typeurls.CLUSTER, sidecar(), mesh)
    host = "bad.default.svc.cluster.local"
    lost = {f"outbound|{port}|{subset}|{host}" for port in (80, 9000) for subset in ("", "v1")}
    assert made.failures.keys() == lost
    assert made.resources.keys() == whole.keys() - lost
    reason = made.failures[f"outbound|80||{host}"]
    assert reason.startswith("Service default/bad, DestinationRule default/bad-rule: LookupError: made up (test_")


@pytest.mark.parametrize(("type_url", "module", "name"), [(typeurls.CLUSTER, clusters, "_describe")])
def test_a_failure_is_not_remembered_as_a_result(
    world: Any, sidecar: Any, monkeypatch: pytest.MonkeyPatch, type_url: str, module: Any, name: str
) -> None:
    mesh, cache = world(YAML).mesh, Cache()
    with monkeypatch.context() as patch:
        patch.setattr(module, name, None)
        assert generate(type_url, sidecar(), mesh, None, cache=cache).failures
    assert not generate(type_url, sidecar(), mesh, None, cache=cache).failures


def test_the_routes_of_one_virtual_service(world: Any, sidecar: Any, router: Any, broken: Any) -> None:
    broken(httproute, "_route", lambda http, *_: http.name == "bad")
    mesh = world(YAML).mesh
    made = make(typeurls.ROUTE, sidecar(), mesh, "80", "3306")
    assert made.failures["80"].startswith("VirtualService default/bad-routes: LookupError: made up")
    assert list(made.resources) == ["3306"]
    found = replies(made, "80")
    assert found["bad"] == ("not-generated", 503)
    assert found["good"] == ("default", 0)
    made = make(typeurls.ROUTE, router(), mesh, "http.80")
    assert "VirtualService default/bad-routes" in made.failures["http.80"]
    assert replies(made, "http.80")["good.example.com"] == ("good", 0)
    assert replies(made, "http.80")["bad.example.com"] == ("not-generated", 503)


def test_a_whole_route_configuration_is_empty_for_who_has_none(world: Any, sidecar: Any, broken: Any) -> None:
    from mizzen.pilot.generate import routes

    broken(routes, "_hosts", lambda *_: True)
    made = make(typeurls.ROUTE, sidecar(), world(YAML).mesh, "80")
    assert (made.resources, list(made.failures)) == ({}, ["80"])
    assert replies(made, "80") == {}


def test_the_outbound_listeners_of_one_port(world: Any, sidecar: Any, broken: Any) -> None:
    mesh = world(YAML).mesh
    broken(outbound, "service_chains", lambda service, port, *_: service.name == "bad" and port.number == 9000)
    made = make(typeurls.LISTENER, sidecar(), mesh)
    assert made.failures.keys() == {"10.96.0.2_9000"}
    assert made.failures["10.96.0.2_9000"].startswith("Service default/bad: LookupError: made up")
    assert {"0.0.0.0_80", "10.96.0.1_3306", "virtualOutbound", "virtualInbound"} <= made.resources.keys()


def test_inbound_listeners(world: Any, sidecar: Any, broken: Any) -> None:
    broken(inboundlisteners, "_virtual_inbound", lambda *_: True)
    made = make(typeurls.LISTENER, sidecar(), world(YAML).mesh)
    assert made.failures.keys() == {"virtualInbound"}
    assert "0.0.0.0_80" in made.resources


def test_one_listener_of_a_gateway(world: Any, router: Any, broken: Any) -> None:
    broken(gatewaylisteners, "_listener", lambda _, port, *__: port.port == 81)
    made = make(typeurls.LISTENER, router(), world(YAML).mesh)
    assert (list(made.resources), list(made.failures)) == (["0.0.0.0_80"], ["0.0.0.0_81"])
