"""Rebuilding: what stays, what changes, and what is wrong."""

from typing import Any

from mizzen.api.parse import parse
from mizzen.api.resource import ResourceKey
from mizzen.pilot.base.labels import NONE
from mizzen.pilot.base.registry import RegistrySnapshot
from mizzen.pilot.snapshot.build import build, refresh_endpoints
from mizzen.pilot.snapshot.diff import Change, difference
from mizzen.pilot.snapshot.service import ServiceKey

CONFIG = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews, subset: %s}}]}]}
"""
REGISTRY = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{port: 80, name: http}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reviews, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
ports: [{port: 80, name: http}]
endpoints: [{addresses: [%s]}]
"""
KEY = ServiceKey("reviews.default.svc.cluster.local", "default")


def config(subset: str = "v1") -> Any:
    return parse(CONFIG % subset).resources


def registry(address: str = "10.0.0.1") -> RegistrySnapshot:
    return RegistrySnapshot(parse(REGISTRY % address).resources)


def test_what_did_not_change_is_taken_over() -> None:
    old = build(config(), registry(), None, "1")
    new = build(config(), registry(), old, "2")
    assert new.version == "2"
    assert new.routings[0] is old.routings[0]
    assert new.endpoints[KEY] is old.endpoints[KEY]
    assert not difference(old, new)


def test_a_change_of_config_names_the_resource() -> None:
    old = build(config(), registry(), None, "1")
    new = build(config("v2"), registry(), old, "2")
    change = difference(old, new)
    assert change == Change(config=frozenset({config()[0].key}))
    assert not change.endpoints_only


def test_endpoints_alone_take_the_fast_path() -> None:
    old = build(config(), registry(), None, "1")
    scope = old.scope("default", NONE)
    today = {resource.key: resource for resource in registry("10.0.0.2").resources}
    new = refresh_endpoints({ResourceKey("EndpointSlice", "default", "reviews")}, today, old, "2")
    assert [endpoint.address for endpoint in new.endpoints[KEY]] == ["10.0.0.2"]
    assert new.scope("default", NONE) is scope
    change = difference(old, new)
    assert change == Change(endpoints=frozenset({KEY}))
    assert change.endpoints_only
    assert new.endpoints == build(config(), registry("10.0.0.2"), None, "2").endpoints
    assert [endpoint.address for endpoint in old.endpoints[KEY]] == ["10.0.0.1"]


def test_problems(world: Any) -> None:
    cases = [
        ("VirtualService default/b: spec.hosts: host reviews.default.svc.cluster.local belongs to", """
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: a}
            spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}
            ---
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: b}
            spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}
        """),
        ("Gateway default/missing does not exist", """
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: a}
            spec: {hosts: [a.example.com], gateways: [missing], http: [{route: [{destination: {host: reviews}}]}]}
        """),
        ("Gateway default/edge: spec.servers[0].tls.credentialName: credential kubernetes://cert of server 0", """
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: edge}
            spec:
              selector: {istio: ingressgateway}
              servers:
              - port: {number: 443, name: https, protocol: HTTPS}
                hosts: ["*"]
                tls: {mode: SIMPLE, credentialName: cert}
        """),
        ("DestinationRule default/a: spec.trafficPolicy.tls: mode ISTIO_MUTUAL needs", """
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: a}
            spec: {host: reviews, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
        """),
        ("spec.subsets[0].trafficPolicy.portLevelSettings[0].loadBalancer.localityLbSetting: localities are not", """
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: a}
            spec:
              host: reviews
              subsets:
              - name: v1
                trafficPolicy:
                  portLevelSettings:
                  - port: {number: 80}
                    loadBalancer: {localityLbSetting: {distribute: [{from: eu/*, to: {eu/*: 100}}]}}
        """),
        ("warning: ServiceEntry default/a: spec.ports[1]: without spec.addresses", """
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: a}
            spec:
              hosts: [db.example.com]
              resolution: DNS
              ports: [{number: 443, name: https, protocol: TLS}, {number: 3306, name: db, protocol: TCP}]
        """),
        ("DYNAMIC_DNS is not supported", """
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: a}
            spec: {hosts: ["*.example.com"], resolution: DYNAMIC_DNS, ports: [{number: 80, name: http, protocol: HTTP}]}
        """),
    ]  # fmt: skip
    for expected, text in cases:
        problems = world(text).problems
        assert any(expected in problem for problem in problems), (expected, problems)


def test_what_has_its_effect_is_no_problem(world: Any) -> None:
    made = world("""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: a}
        spec: {host: reviews, trafficPolicy: {loadBalancer: {localityLbSetting: {enabled: false}}}}
        ---
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: a}
        spec:
          hosts: [db.example.com]
          addresses: [10.1.2.3]
          resolution: DNS
          ports: [{number: 3306, name: db, protocol: TCP}]
        ---
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: b}
        spec: {hosts: [web.example.com], resolution: DNS, ports: [{number: 443, name: https, protocol: TLS}]}
    """)
    assert made.problems == []
