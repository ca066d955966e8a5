"""The entry to generation."""

from __future__ import annotations

from collections.abc import Iterable

from mizzen.pilot.base.protocol import Protocol
from mizzen.pilot.generate import clusters, endpoints, grpc, names, typeurls
from mizzen.pilot.generate.autopassthrough import offered
from mizzen.pilot.generate.cache import Cache
from mizzen.pilot.generate.failure import origin_text
from mizzen.pilot.generate.gatewaylisteners import gateway_listeners, gateway_ports
from mizzen.pilot.generate.gatewayroutes import GatewayRouteInputs, gateway_routes
from mizzen.pilot.generate.harvest import Generated, Harvest
from mizzen.pilot.generate.inbound import cluster_inputs, inbound_ports
from mizzen.pilot.generate.inboundlisteners import inbound_listeners
from mizzen.pilot.generate.listener import listener
from mizzen.pilot.generate.mixer.chains import MixerChains
from mizzen.pilot.generate.mixer.use import Side, route_use
from mizzen.pilot.generate.mutualtls import capable, identities, is_required
from mizzen.pilot.generate.node import Node
from mizzen.pilot.generate.outbound import OutboundListeners
from mizzen.pilot.generate.routes import SidecarRouteInputs, empty_routes, sidecar_routes
from mizzen.pilot.generate.secrets import secret
from mizzen.pilot.snapshot.credentials import UnusableCredential
from mizzen.pilot.snapshot.destinationrule import Rule
from mizzen.pilot.snapshot.gateways import GatewayPort, HttpServer
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.peerauth import TLS_MODE
from mizzen.pilot.snapshot.proxy import Proxy
from mizzen.pilot.snapshot.service import Endpoint, Port, Service
from mizzen.pilot.snapshot.uncertified import able

_SHARED = Cache()
"""Remembers what equal inputs gave; it holds no configuration of its own."""


def generate(
    type_url: str, proxy: Proxy, mesh: Mesh, names: frozenset[str] | None, *, cache: Cache = _SHARED
) -> Generated:
    """The resources of one type for one proxy.

    `names` None asks for all (wildcard). A name that does not exist is left out, except that any unknown endpoint set
    and a sidecar's unknown route configuration are empty, because Envoy would wait for them forever. A gateway's
    unknown route configuration is empty only for a client that holds none: another one drains a listener with it.
    Raises ValueError for a type URL that is not generated, and whatever goes wrong before it is known for which name.
    """
    generator = _GENERATORS.get(type_url)
    if generator is None:
        raise ValueError(f"{type_url} is not generated")
    harvest = Harvest(cache, names)
    generator(Node(proxy, mesh), harvest, names)
    return harvest.made


def _listeners(node: Node, harvest: Harvest, wanted: frozenset[str] | None) -> None:
    if node.proxy.generator == "grpc":
        for name in sorted(wanted or ()):
            found = grpc.target(name, node.scope)
            if found is not None:
                routes = names.outbound(found[1].number, "", found[0].hostname)
                harvest.take(name, grpc.grpc_listener, grpc.GrpcListenerInputs(name, routes), found[0].origin)
        return
    if node.proxy.type == "router":
        found_listeners = gateway_listeners(node, harvest)
    else:
        found_listeners = OutboundListeners(node, harvest).collect() + inbound_listeners(node, harvest)
    mixer = MixerChains(node)
    for inputs in found_listeners:
        with harvest.guard(inputs.name):
            harvest.take(inputs.name, listener, mixer.add(inputs))


def _routes(node: Node, harvest: Harvest, wanted: frozenset[str] | None) -> None:
    for name in sorted(wanted or ()):
        if node.proxy.generator == "grpc":
            _grpc_routes(node, harvest, name)
        elif node.proxy.type == "router":
            _gateway_routes(node, harvest, name)
        else:
            mixer = route_use(node, Side.OUTBOUND)
            inputs = SidecarRouteInputs(
                name, node.scope, node.mesh.rules, node.labels, node.proxy.domain, node.fallback, mixer
            )
            harvest.take(name, sidecar_routes, inputs, otherwise=empty_routes(name))


def _grpc_routes(node: Node, harvest: Harvest, name: str) -> None:
    cluster = names.parse_cluster(name)
    service = node.scope.service(cluster.host) if cluster is not None else None
    port = service.port(cluster.port) if service is not None and cluster is not None else None
    if service is not None and port is not None:
        inputs = grpc.GrpcRouteInputs(name, service, port, node.scope, node.mesh.rules, node.labels)
        harvest.take(name, grpc.grpc_routes, inputs, service.origin)


def _gateway_routes(node: Node, harvest: Harvest, name: str) -> None:
    for port in gateway_ports(node):
        servers = _servers(port, name)
        if servers:
            mixer = route_use(node, Side.GATEWAY)
            inputs = GatewayRouteInputs(
                name, port.port, servers, node.mesh.routings, node.scope, node.mesh.rules, node.labels, mixer
            )
            harvest.take(name, gateway_routes, inputs, otherwise=empty_routes(name))
            return
    harvest.made.substitutes[name] = empty_routes(name)


def _servers(port: GatewayPort, route: str) -> tuple[HttpServer, ...]:
    """Those of a gateway's port whose route configuration has this name: all of plain HTTP, or one of HTTPS."""
    if port.http and names.parse_gateway_route(route) == (port.port, port.bind):
        return port.http
    secure = (server for server in port.tls if server.http)
    named = ((names.secure_gateway_route(port.port, each.port_name, each.gateway, port.bind), each) for each in secure)
    return tuple(server.plain for name, server in named if name == route)


def _endpoints(node: Node, harvest: Harvest, wanted: frozenset[str] | None) -> None:
    for name in sorted(wanted or ()):
        cluster = names.parse_cluster(name)
        found: tuple[Endpoint, ...] = ()
        if cluster is not None:
            service = node.scope.service(cluster.host) or node.consulted.get(cluster.host)
            rule = node.rule(service) if service is not None else None
            found = _reachable(node.mesh, service, rule, cluster)
        harvest.take(name, endpoints.endpoint_set, endpoints.EndpointInputs(name, found, node.proxy.cluster_id))


def _reachable(
    mesh: Mesh, service: Service | None, rule: Rule | None, cluster: names.ClusterName
) -> tuple[Endpoint, ...]:
    """The endpoints of a cluster; of one whose TLS goes through those alone that speak the mesh's."""
    found = capable(mesh, endpoints.select(mesh, service, rule, cluster))
    return tuple(each for each in found if TLS_MODE in each.labels) if cluster.passed else found


def _clusters(node: Node, harvest: Harvest, wanted: frozenset[str] | None) -> None:
    for service in (*node.scope.services, *node.consulted.values()):
        for port in service.ports:
            if port.protocol is not Protocol.UDP:
                _service_clusters(node, harvest, service, port)
    for service, port in offered(node, gateway_ports(node)) if node.proxy.type == "router" else ():
        _service_clusters(node, harvest, service, port, passed=True)
    if node.proxy.generator == "grpc":
        return
    settings = node.mesh.settings
    harvest.take(names.BLACK_HOLE, clusters.black_hole, clusters.FixedInputs(names.BLACK_HOLE, settings))
    if node.proxy.type == "router":
        return
    harvest.take(names.PASSTHROUGH, clusters.passthrough, clusters.FixedInputs(names.PASSTHROUGH, settings))
    for own in inbound_ports(node):
        inputs = cluster_inputs(node, own)
        origins = (service.origin for service in own.services)
        harvest.take(names.inbound(own.number), clusters.inbound_cluster, inputs, *origins)
    if node.proxy.captures:
        undeclared = clusters.FixedInputs(names.INBOUND_PASSTHROUGH, settings, node.sources)
        harvest.take(undeclared.name, clusters.passthrough, undeclared)


def _service_clusters(node: Node, harvest: Harvest, service: Service, port: Port, *, passed: bool = False) -> None:
    rule = node.rule(service)
    required = is_required(node.mesh, service, port) and able(node.proxy)
    subsets: Iterable[str] = ("", *(subset.name for subset in rule.subsets)) if rule is not None else ("",)
    for subset in subsets:
        cluster = names.ClusterName("outbound", port.number, subset, service.hostname, passed)
        found: tuple[Endpoint, ...] = ()
        if service.resolution in clusters.NAMED:
            found = _reachable(node.mesh, service, rule, cluster)
        grpc = node.proxy.generator == "grpc"
        inputs = clusters.ClusterInputs(
            service,
            port,
            subset,
            rule,
            found,
            node.mesh.settings,
            grpc,
            node.lookup,
            expected=identities(node.mesh, service) if node.mutual_tls or required else None,
            required=required,
            credentials=node.proxy.type == "router",
            passed=passed,
            captured=node.proxy.captures and not grpc,
        )
        origin = origin_text(rule.origin) if rule is not None else ""
        harvest.take(str(cluster), clusters.outbound_cluster, inputs, service.origin, origin)


def _secrets(node: Node, harvest: Harvest, wanted: frozenset[str] | None) -> None:
    for name in sorted(wanted or ()):
        try:
            harvest.made.resources[name] = secret(name, node.proxy, node.mesh)
        except UnusableCredential as error:
            harvest.made.failures[name] = str(error)


_GENERATORS = {
    typeurls.LISTENER: _listeners,
    typeurls.ROUTE: _routes,
    typeurls.CLUSTER: _clusters,
    typeurls.ENDPOINT: _endpoints,
    typeurls.SECRET: _secrets,
}
