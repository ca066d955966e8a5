"""Istio's well-known surprises that no single request shows."""

from __future__ import annotations

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.route.v3 import route_pb2
from simulation.cases.base import SERVICES, outbound
from simulation.cases.gateways import YAML as GATEWAYS
from simulation.harness.simulate import clusters, listeners
from simulation.harness.world import World, gateway, sidecar

from mizzen.pilot.generate import typeurls
from mizzen.proxy.engine.plan import HttpPlan

SHOP = """
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: default}
spec: {ports: [{name: http-a, port: 80}, {name: http-b, port: 8080}]}
---
"""

PORT_LEVEL = World(
    "port level",
    SHOP
    + """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, namespace: default}
spec:
  host: shop
  trafficPolicy:
    loadBalancer: {simple: RANDOM}
    connectionPool: {tcp: {connectTimeout: 2s}}
    portLevelSettings:
    - {port: {number: 8080}, connectionPool: {tcp: {connectTimeout: 3s}}}
  subsets:
  - {name: v1, labels: {version: v1}, trafficPolicy: {connectionPool: {tcp: {connectTimeout: 4s}}}}
""",
)


def _rule(namespace: str, balancer: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: from-{namespace}, namespace: {namespace}}}
spec:
  host: reviews.prod.svc.cluster.local
  trafficPolicy: {{loadBalancer: {{simple: {balancer}}}}}
---
"""


ROOT, SERVICE, CLIENT = _rule("istio-system", "RANDOM"), _rule("prod", "ROUND_ROBIN"), _rule("default", "LEAST_REQUEST")


def test_port_level_settings_do_not_inherit() -> None:  # pitfall 3
    plans = clusters(PORT_LEVEL)
    ordinary, own = plans[outbound("shop", port=80)], plans[outbound("shop", port=8080)]
    assert (ordinary.balancer, ordinary.connect_timeout) == ("random", 2)
    assert (own.balancer, own.connect_timeout) == ("least_request", 3)


def test_a_subset_inherits_what_it_does_not_set() -> None:  # pitfall 3
    subset = clusters(PORT_LEVEL)[outbound("shop", "v1", port=80)]
    assert (subset.balancer, subset.connect_timeout) == ("random", 4)


def _balancer(*rules: str) -> str:
    world = World("rules", SERVICES + "".join(rules), proxy=sidecar())
    return clusters(world)[outbound("reviews", namespace="prod")].balancer


def test_a_rule_of_the_root_namespace_is_the_last_resort() -> None:  # pitfall 18
    assert _balancer(ROOT) == "random"
    assert _balancer(ROOT, SERVICE) == "round_robin"
    assert _balancer(ROOT, SERVICE, CLIENT) == "least_request"


def test_an_unknown_route_configuration_is_answered_empty_to_a_sidecar() -> None:  # pitfall 16
    world = World("unknown names", SERVICES)
    (answer,) = world.resources(typeurls.ROUTE, frozenset({"nonsense"}))
    routes = route_pb2.RouteConfiguration()
    assert answer.Unpack(routes)
    assert (routes.name, len(routes.virtual_hosts)) == ("nonsense", 0)


def test_an_unknown_route_configuration_is_not_answered_to_a_gateway() -> None:  # pitfall 16
    world = World("unknown names", GATEWAYS, proxy=gateway())
    assert world.resources(typeurls.ROUTE, frozenset({"nonsense"})) == []


def test_the_default_retry_policy_names_no_status_codes() -> None:  # pitfall 13
    world = World("retries", SERVICES)
    host = next(h for h in world.routes["9080"].virtual_hosts if h.name.startswith("reviews.default"))
    policy = host.routes[0].route.retry_policy
    assert "retriable-status-codes" in policy.retry_on
    assert not policy.retriable_status_codes


def test_only_gateways_append_to_x_forwarded_for() -> None:  # pitfall 14
    inner = listeners(World("xff", SERVICES))[9080].handler
    edge = listeners(World("xff", GATEWAYS, proxy=gateway()))[8080].handler
    assert isinstance(inner, HttpPlan)
    assert isinstance(edge, HttpPlan)
    assert (inner.use_remote_address, edge.use_remote_address) == (False, True)


def test_every_eds_cluster_gets_an_endpoint_set() -> None:  # pitfall 11
    world = World("endpoints", SERVICES)
    wanted = {cluster.name for cluster in world.clusters if cluster.type == cluster_pb2.Cluster.EDS}
    assert wanted
    assert world.endpoints.keys() == wanted
