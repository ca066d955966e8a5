"""Endpoint sets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from envoy.config.core.v3 import base_pb2, health_check_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2

from mizzen.pilot.base.labels import NONE
from mizzen.pilot.generate import names
from mizzen.pilot.generate.encoded import Encoded, encode
from mizzen.pilot.generate.protos import address, struct, uint32
from mizzen.pilot.snapshot.destinationrule import Rule, labels_of_subset
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.peerauth import TLS_MODE
from mizzen.pilot.snapshot.service import Endpoint, Service


@dataclass(frozen=True, slots=True)
class EndpointInputs:
    """What decides an endpoint set."""

    name: str
    endpoints: tuple[Endpoint, ...]
    cluster_id: str = ""


def select(mesh: Mesh, service: Service | None, rule: Rule | None, cluster: names.ClusterName) -> tuple[Endpoint, ...]:
    """The endpoints of a cluster: of its port and, for a subset, with its labels; none when something is unknown."""
    port = service.port(cluster.port) if service is not None else None
    if service is None or port is None:
        return ()
    labels = NONE
    if cluster.subset:
        subset = rule.subset(cluster.subset) if rule is not None else None
        if subset is None:
            return ()
        labels = labels_of_subset(subset)
    return mesh.endpoints_of(service, port.name, labels)


def endpoint_set(inputs: EndpointInputs) -> Encoded:
    """A ClusterLoadAssignment; an unknown service has an empty one, because Envoy waits for an answer."""
    return encode(inputs.name, assignment(inputs.name, inputs.endpoints, inputs.cluster_id))


def assignment(name: str, endpoints: Iterable[Endpoint], cluster_id: str = "") -> Any:
    """Endpoints grouped by locality."""
    groups: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        groups.setdefault(endpoint.locality, []).append(endpoint)
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    for locality in sorted(groups):
        group = message.endpoints.add(
            locality=_locality(locality),
            load_balancing_weight=uint32(sum(endpoint.weight for endpoint in groups[locality])),
        )
        group.lb_endpoints.extend(_endpoint(endpoint, cluster_id) for endpoint in groups[locality])
    return message


def _locality(text: str) -> Any:
    region, zone, sub_zone = (*text.split("/"), "", "")[:3]
    return base_pb2.Locality(region=region, zone=zone, sub_zone=sub_zone)


def _endpoint(endpoint: Endpoint, cluster_id: str) -> Any:
    message = endpoint_components_pb2.LbEndpoint(
        endpoint=endpoint_components_pb2.Endpoint(address=address(endpoint.address, endpoint.port)),
        load_balancing_weight=uint32(endpoint.weight),
    )
    if not endpoint.healthy:
        message.health_status = health_check_pb2.UNHEALTHY
    workload = _workload(endpoint, cluster_id)
    if workload:
        message.metadata.filter_metadata["istio"].CopyFrom(struct({"workload": workload}))
    if TLS_MODE in endpoint.labels:
        message.metadata.filter_metadata["envoy.transport_socket_match"].CopyFrom(struct({"tlsMode": "istio"}))
    return message


def _workload(endpoint: Endpoint, cluster_id: str) -> str:
    """`<workload>;<namespace>;<canonical name>;<canonical revision>;<cluster>`."""
    if not endpoint.workload:
        return ""
    carried = dict(endpoint.labels)
    name = carried.get("service.istio.io/canonical-name") or carried.get("app") or endpoint.workload
    revision = carried.get("service.istio.io/canonical-revision") or carried.get("version") or ""
    return ";".join((endpoint.workload, endpoint.namespace, name, "" if revision == "latest" else revision, cluster_id))
