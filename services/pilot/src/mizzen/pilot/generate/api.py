"""The entry to generation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mizzen.pilot.base.protocol import Protocol
from mizzen.pilot.generate import clusters, endpoints, grpc, names, typeurls
from mizzen.pilot.generate.cache import Cache
from mizzen.pilot.generate.encoded import Encoded
from mizzen.pilot.generate.gatewaylisteners import gateway_listeners, gateway_ports
from mizzen.pilot.generate.gatewayroutes import GatewayRouteInputs, gateway_routes
from mizzen.pilot.generate.inbound import cluster_inputs, inbound_listeners, inbound_ports
from mizzen.pilot.generate.listener import listener
from mizzen.pilot.generate.node import Node
from mizzen.pilot.generate.outbound import OutboundListeners
from mizzen.pilot.generate.routes import SidecarRouteInputs, sidecar_routes
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.proxy import Proxy
from mizzen.pilot.snapshot.service import Endpoint, Port, Service

_SHARED = Cache()
"""Remembers what equal inputs gave; it holds no configuration of its own."""


def generate(
    type_url: str, proxy: Proxy, mesh: Mesh, names: frozenset[str] | None, *, cache: Cache = _SHARED
) -> dict[str, Encoded]:
    """The resources of one type for one proxy, by name and in the order to send them.

    `names` None asks for all (wildcard). A name that does not exist is left out, except that a sidecar's unknown
    route configuration and any unknown endpoint set are answered empty, because Envoy would wait for them forever.
    Raises ValueError for a type URL that is not generated.
    """
    generator = _GENERATORS.get(type_url)
    if generator is None:
        raise ValueError(f"{type_url} is not generated")
    node = Node(proxy, mesh, cache)
    return {resource.name: resource for resource in generator(node, names)}


def _listeners(node: Node, wanted: frozenset[str] | None) -> Iterator[Encoded]:
    if node.proxy.generator == "grpc":
        for name in sorted(wanted or ()):
            found = grpc.target(name, node.scope)
            if found is not None:
                routes = names.outbound(found[1].number, "", found[0].hostname)
                yield node.cache.get(grpc.grpc_listener, grpc.GrpcListenerInputs(name, routes))
        return
    if node.proxy.type == "router":
        found_listeners = gateway_listeners(node)
    else:
        found_listeners = OutboundListeners(node).collect() + inbound_listeners(node)
    for inputs in found_listeners:
        if wanted is None or inputs.name in wanted:
            yield node.cache.get(listener, inputs)


def _routes(node: Node, wanted: frozenset[str] | None) -> Iterator[Encoded]:
    for name in sorted(wanted or ()):
        if node.proxy.generator == "grpc":
            yield from _grpc_routes(node, name)
        elif node.proxy.type == "router":
            yield from _gateway_routes(node, name)
        else:
            yield node.cache.get(
                sidecar_routes,
                SidecarRouteInputs(name, node.scope, node.mesh.rules, node.labels, node.proxy.domain, node.fallback),
            )


def _grpc_routes(node: Node, name: str) -> Iterator[Encoded]:
    cluster = names.parse_cluster(name)
    service = node.scope.service(cluster.host) if cluster is not None else None
    port = service.port(cluster.port) if service is not None and cluster is not None else None
    if service is not None and port is not None:
        inputs = grpc.GrpcRouteInputs(name, service, port, node.scope, node.mesh.rules, node.labels)
        yield node.cache.get(grpc.grpc_routes, inputs)


def _gateway_routes(node: Node, name: str) -> Iterator[Encoded]:
    parsed = names.parse_gateway_route(name)
    for port in gateway_ports(node):
        if port.http and parsed == (port.port, port.bind):
            inputs = GatewayRouteInputs(
                name, port.port, port.http, node.mesh.routings, node.scope, node.mesh.rules, node.labels
            )
            yield node.cache.get(gateway_routes, inputs)


def _endpoints(node: Node, wanted: frozenset[str] | None) -> Iterator[Encoded]:
    for name in sorted(wanted or ()):
        cluster = names.parse_cluster(name)
        found: tuple[Endpoint, ...] = ()
        if cluster is not None:
            service = node.scope.service(cluster.host)
            rule = node.rule(service) if service is not None else None
            found = endpoints.select(node.mesh, service, rule, cluster)
        yield node.cache.get(endpoints.endpoint_set, endpoints.EndpointInputs(name, found, node.proxy.cluster_id))


def _clusters(node: Node, wanted: frozenset[str] | None) -> Iterator[Encoded]:
    for resource in _all_clusters(node):
        if wanted is None or resource.name in wanted:
            yield resource


def _all_clusters(node: Node) -> Iterator[Encoded]:
    for service in node.scope.services:
        for port in service.ports:
            if port.protocol is not Protocol.UDP:
                yield from _service_clusters(node, service, port)
    if node.proxy.generator == "grpc":
        return
    settings = node.mesh.settings
    yield node.cache.get(clusters.black_hole, clusters.FixedInputs(names.BLACK_HOLE, settings))
    if node.proxy.type == "router":
        return
    yield node.cache.get(clusters.passthrough, clusters.FixedInputs(names.PASSTHROUGH, settings))
    if node.proxy.captures:
        yield node.cache.get(clusters.passthrough, clusters.FixedInputs(names.INBOUND_PASSTHROUGH, settings))
    for own in inbound_ports(node):
        yield node.cache.get(clusters.inbound_cluster, cluster_inputs(node, own))


def _service_clusters(node: Node, service: Service, port: Port) -> Iterator[Encoded]:
    rule = node.rule(service)
    subsets: Iterable[str] = ("", *(subset.name for subset in rule.subsets)) if rule is not None else ("",)
    for subset in subsets:
        found: tuple[Endpoint, ...] = ()
        if service.resolution in clusters.NAMED:
            cluster = names.ClusterName("outbound", port.number, subset, service.hostname)
            found = endpoints.select(node.mesh, service, rule, cluster)
        inputs = clusters.ClusterInputs(
            service, port, subset, rule, found, node.mesh.settings, node.proxy.generator == "grpc"
        )
        yield node.cache.get(clusters.outbound_cluster, inputs)


_GENERATORS = {
    typeurls.LISTENER: _listeners,
    typeurls.ROUTE: _routes,
    typeurls.CLUSTER: _clusters,
    typeurls.ENDPOINT: _endpoints,
}
