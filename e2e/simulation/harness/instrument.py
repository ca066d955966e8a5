"""Generated xDS made observable: what Envoy gets is what Pilot generated, except that it says what it decided.

Listeners get a free port and their routes inline, every cluster leads to the echo server, responses carry the names of
cluster and route, and weights are cut at a point that the request names instead of a random one.
"""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from google.protobuf import duration_pb2
from simulation.harness.call import POINTS
from simulation.harness.world import HCM, World, managers

CLUSTER_HEADER = "x-sim-cluster"
ROUTE_HEADER = "x-sim-route"
POINT_HEADER = "x-sim-point"


def listeners(world: World) -> Iterable[listener_pb2.Listener]:
    """The HTTP listeners of a world, named `<world>:<port>`."""
    for generated in world.listeners:
        if not managers(generated):
            continue
        listener = inlined(generated, world)
        listener.name = f"{world.name}:{generated.address.socket_address.port_value}"
        listener.address.socket_address.address = "127.0.0.1"
        listener.address.socket_address.port_value = 0
        del listener.additional_addresses[:]
        yield listener


def inlined(generated: listener_pb2.Listener, world: World) -> listener_pb2.Listener:
    """A listener with its route configurations in place of RDS, observed."""
    listener = listener_pb2.Listener()
    listener.CopyFrom(generated)
    for chain in [*listener.filter_chains, listener.default_filter_chain]:
        for filter_ in chain.filters:
            if filter_.name != HCM:
                continue
            manager = hcm_pb2.HttpConnectionManager()
            filter_.typed_config.Unpack(manager)
            if manager.HasField("rds"):
                manager.route_config.CopyFrom(world.routes[manager.rds.route_config_name])
            observe(manager.route_config)
            filter_.typed_config.Pack(manager)
    return listener


def observe(routes: route_pb2.RouteConfiguration) -> None:
    """Let responses tell the cluster and the route, and requests choose the point of weights."""
    for name, value in ((CLUSTER_HEADER, "%UPSTREAM_CLUSTER_RAW%"), (ROUTE_HEADER, "%ROUTE_NAME%")):
        option = routes.response_headers_to_add.add()
        option.header.key = name
        option.header.value = value
        option.append_action = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    for host in routes.virtual_hosts:
        for route in host.routes:
            if route.route.HasField("weighted_clusters"):
                weighted = route.route.weighted_clusters
                total = sum(cluster.weight.value for cluster in weighted.clusters)
                assert total == POINTS, f"weights of {route.name} add up to {total}; simulated ones need {POINTS}"
                weighted.header_name = POINT_HEADER


def clusters(routes: Iterable[route_pb2.RouteConfiguration], echo_port: int) -> list[cluster_pb2.Cluster]:
    """A cluster of the echo server for every cluster that routes name."""
    return [echo_cluster(name, echo_port) for name in sorted({n for config in routes for n in _named(config)})]


def _named(config: route_pb2.RouteConfiguration) -> Iterable[str]:
    for host in config.virtual_hosts:
        for route in host.routes:
            yield from (cluster.name for cluster in route.route.weighted_clusters.clusters)
            yield from (mirror.cluster for mirror in route.route.request_mirror_policies)
            if route.route.cluster:
                yield route.route.cluster


def echo_cluster(name: str, echo_port: int) -> cluster_pb2.Cluster:
    cluster = cluster_pb2.Cluster(
        name=name, type=cluster_pb2.Cluster.STATIC, connect_timeout=duration_pb2.Duration(seconds=5)
    )
    cluster.load_assignment.cluster_name = name
    endpoint = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint
    endpoint.address.socket_address.address = "127.0.0.1"
    endpoint.address.socket_address.port_value = echo_port
    return cluster
