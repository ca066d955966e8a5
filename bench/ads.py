"""Sidecars as Pilot sees them: delta ADS streams that acknowledge everything and keep addresses of endpoints alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2, health_check_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.service.discovery.v3 import discovery_pb2

from mizzen.pilot.generate.typeurls import CLUSTER, ENDPOINT, LISTENER

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
RETRY_SECONDS = 0.05
TAKEN = (health_check_pb2.UNKNOWN, health_check_pb2.HEALTHY)


class Sidecar:
    """One proxy of a Pod in `namespace`."""

    def __init__(self, number: int, namespace: str) -> None:
        self.endpoints: dict[str, frozenset[str]] = {}
        """Addresses that take requests, by the name of the cluster."""
        self._outbox: asyncio.Queue[Any] = asyncio.Queue()
        domain = f"{namespace}.svc.cluster.local"
        self._node = base_pb2.Node(id=f"sidecar~10.1.{number >> 8}.{number & 255}~client-{number}.{namespace}~{domain}")
        self._node.metadata.update({"NAMESPACE": namespace})

    async def run(self, address: str) -> None:
        """Connect, as soon as Pilot is there, and follow until cancelled."""
        options = (("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1))
        async with grpc.aio.insecure_channel(address, options=options) as channel:
            while True:
                try:
                    await self._stream(channel)
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(RETRY_SECONDS)

    async def _stream(self, channel: Any) -> None:
        self._outbox = asyncio.Queue()
        for type_url in (CLUSTER, LISTENER):
            self._ask(type_url, node=self._node)
        call = channel.stream_stream(
            METHOD,
            request_serializer=discovery_pb2.DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=discovery_pb2.DeltaDiscoveryResponse.FromString,
        )(self._requests(), wait_for_ready=True)
        async for response in call:
            self._take(response)

    def _take(self, response: Any) -> None:
        self._ask(response.type_url, response_nonce=response.nonce)
        if response.type_url == CLUSTER:
            names = [name for resource in response.resources for name in _endpoints_of(resource)]
            self._ask(ENDPOINT, resource_names_subscribe=names)
        elif response.type_url == ENDPOINT:
            for resource in response.resources:
                self.endpoints[resource.name] = _addresses(resource)

    def _ask(self, type_url: str, **fields: Any) -> None:
        self._outbox.put_nowait(discovery_pb2.DeltaDiscoveryRequest(type_url=type_url, **fields))

    async def _requests(self) -> AsyncIterator[Any]:
        outbox = self._outbox
        while True:
            yield await outbox.get()


def _endpoints_of(resource: Any) -> list[str]:
    """The names under which a cluster's endpoints are asked for: one, or none where they are not Pilot's to tell."""
    cluster = cluster_pb2.Cluster()
    resource.resource.Unpack(cluster)
    if cluster.type != cluster_pb2.Cluster.EDS:
        return []
    return [cluster.eds_cluster_config.service_name or cluster.name]


def _addresses(resource: Any) -> frozenset[str]:
    assignment = endpoint_pb2.ClusterLoadAssignment()
    resource.resource.Unpack(assignment)
    return frozenset(
        endpoint.endpoint.address.socket_address.address
        for locality in assignment.endpoints
        for endpoint in locality.lb_endpoints
        if endpoint.health_status in TAKEN
    )
