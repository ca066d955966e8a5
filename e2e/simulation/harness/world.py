"""YAML, the node that looks at it, and the xDS that Pilot generates for this node."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from google.protobuf import any_pb2

from mizzen.api.parse import parse
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.base.registry import RegistrySnapshot
from mizzen.pilot.generate import typeurls
from mizzen.pilot.generate.api import generate
from mizzen.pilot.snapshot.build import build
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.proxy import Proxy

PLATFORM_KINDS = frozenset({"Service", "Endpoints", "EndpointSlice", "Pod", "Namespace"})
HCM = "envoy.filters.network.http_connection_manager"


def sidecar(namespace: str = "default", **metadata: Any) -> Proxy:
    """A workload's proxy that opens a listener for every port of the mesh."""
    node: dict[str, Any] = {"INTERCEPTION_MODE": "NONE", "NAMESPACE": namespace, "HTTP_PROXY_PORT": "15007"}
    node |= {"LABELS": {"app": "client", "version": "v1"}, **metadata}
    return Proxy.from_node(f"sidecar~127.0.0.1~client.{namespace}~{namespace}.svc.cluster.local", node)


def gateway() -> Proxy:
    """The ingress gateway's proxy."""
    node = {"NAMESPACE": "istio-system", "LABELS": {"istio": "ingressgateway"}}
    return Proxy.from_node("router~127.0.0.1~gateway.istio-system~istio-system.svc.cluster.local", node)


@dataclass(frozen=True)
class World:
    """One mesh as one proxy sees it."""

    name: str
    yaml: str
    proxy: Proxy = field(default_factory=sidecar)
    settings: MeshConfig = field(default_factory=MeshConfig)
    errors: tuple[str, ...] = ()
    """A part of each error that building the mesh reports."""

    @cached_property
    def mesh(self) -> Mesh:
        """What Pilot makes of the YAML, which parses and has the expected errors only."""
        parsed = parse(self.yaml, file=f"<{self.name}>")
        wrong = [str(problem) for problem in parsed.problems if problem.severity == "error"]
        assert not wrong, "\n".join(wrong)
        platform = tuple(r for r in parsed.resources if r.key.kind in PLATFORM_KINDS)
        config = tuple(r for r in parsed.resources if r.key.kind not in PLATFORM_KINDS)
        mesh = build(config, RegistrySnapshot(platform), None, "1", self.settings)
        errors = [str(problem) for problem in mesh.problems if problem.severity == "error"]
        assert len(errors) == len(self.errors), errors
        assert all(any(part in error for error in errors) for part in self.errors), errors
        return mesh

    def resources(self, type_url: str, names: frozenset[str] | None = None) -> list[any_pb2.Any]:
        """What a discovery response would carry."""
        made = generate(type_url, self.proxy, self.mesh, names)
        assert not made.failures
        return [any_pb2.Any.FromString(resource.body) for resource in made.resources.values()]

    @cached_property
    def listeners(self) -> list[listener_pb2.Listener]:
        return [_unpack(listener_pb2.Listener(), any_) for any_ in self.resources(typeurls.LISTENER)]

    @cached_property
    def routes(self) -> dict[str, route_pb2.RouteConfiguration]:
        """The route configurations that the listeners refer to."""
        names = frozenset(hcm.rds.route_config_name for listener in self.listeners for hcm in managers(listener))
        found = (_unpack(route_pb2.RouteConfiguration(), any_) for any_ in self.resources(typeurls.ROUTE, names - {""}))
        return {route.name: route for route in found}

    @cached_property
    def clusters(self) -> list[cluster_pb2.Cluster]:
        return [_unpack(cluster_pb2.Cluster(), any_) for any_ in self.resources(typeurls.CLUSTER)]

    @cached_property
    def endpoints(self) -> dict[str, endpoint_pb2.ClusterLoadAssignment]:
        names = frozenset(
            cluster.eds_cluster_config.service_name or cluster.name
            for cluster in self.clusters
            if cluster.type == cluster_pb2.Cluster.EDS
        )
        found = (
            _unpack(endpoint_pb2.ClusterLoadAssignment(), any_) for any_ in self.resources(typeurls.ENDPOINT, names)
        )
        return {assignment.cluster_name: assignment for assignment in found}


def managers(listener: listener_pb2.Listener) -> list[hcm_pb2.HttpConnectionManager]:
    """The HTTP connection managers of a listener (copies)."""
    chains = [*listener.filter_chains, listener.default_filter_chain]
    return [
        _unpack(hcm_pb2.HttpConnectionManager(), filter_.typed_config)
        for chain in chains
        for filter_ in chain.filters
        if filter_.name == HCM
    ]


def _unpack(message: Any, packed: any_pb2.Any) -> Any:
    assert packed.Unpack(message), f"{packed.type_url} is not {message.DESCRIPTOR.full_name}"
    return message
