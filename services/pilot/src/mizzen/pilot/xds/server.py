"""The gRPC server of envoy.service.discovery.v3.AggregatedDiscoveryService."""

from __future__ import annotations

import asyncio
import errno
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf.json_format import MessageToDict

from mizzen.identity.spiffe import SpiffeId
from mizzen.pilot.snapshot.proxy import Proxy
from mizzen.pilot.xds.connections import Connection, Connections
from mizzen.pilot.xds.metrics import ServingMetrics
from mizzen.pilot.xds.session import Session, Source
from mizzen.pilot.xds.stream import Stream
from mizzen.pilot.xds.workshop import Workshop
from mizzen.runtime.address import Address, check_free, explain_bind_error
from mizzen.runtime.errors import StartError

log = logging.getLogger(__name__)

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
MAX_STREAMS = 10_000
FIRST_REQUEST_SECONDS = 10.0
GRACE_SECONDS = 1.0
MAX_VERSION = 100
"""Characters of what a client says that it runs: they become a label of a metric."""
OPTIONS = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # a second server on the port is an error, not a partner
)


class Gate(Protocol):
    """Who is at the other end of connections that came through TLS."""

    def came_through(self, address: str, /) -> bool:
        """Whether a gRPC peer did."""

    def peer(self, address: str, /) -> SpiffeId | None:
        """Who it has proved to be."""


class DiscoveryServer:
    """Serves what `source` gives for a proxy at the time of each request and push."""

    def __init__(
        self,
        source: Callable[[Proxy], Source],
        connections: Connections,
        metrics: ServingMetrics,
        workshop: Workshop,
        gate: Gate | None = None,
    ) -> None:
        """`gate` knows who speaks through TLS; None: nobody does."""
        self._gate = gate
        self._workshop = workshop
        self._source = source
        self._connections = connections
        self._metrics = metrics
        self._server = grpc.aio.server(options=OPTIONS, maximum_concurrent_rpcs=MAX_STREAMS)
        self._server.add_generic_rpc_handlers((_handlers(self._stream_sotw, self._stream_delta),))
        self._address: Address | None = None

    @property
    def address(self) -> Address:
        """Where it listens, with the port that the system chose for port 0."""
        if self._address is None:
            raise RuntimeError("the discovery server was not started")
        return self._address

    def add(self, handler: Any) -> None:
        """One more service on the same port; before `start`."""
        self._server.add_generic_rpc_handlers((handler,))

    async def start(self, address: Address) -> None:
        """Listen; raises StartError that names the address."""
        check_free(address)
        try:
            port = self._server.add_insecure_port(str(address))
        except RuntimeError as error:
            raise StartError(explain_bind_error(address, OSError(errno.EIO, str(error)))) from error
        await self._server.start()
        self._address = Address(address.host, port)

    async def close(self) -> None:
        """End all streams; clients reconnect elsewhere, or here when we are back."""
        await self._server.stop(GRACE_SECONDS)

    async def _stream_sotw(self, requests: Any, context: Any) -> None:
        await self._stream(context, delta=False)

    async def _stream_delta(self, requests: Any, context: Any) -> None:
        await self._stream(context, delta=True)

    async def _stream(self, context: Any, *, delta: bool) -> None:
        try:
            async with asyncio.timeout(FIRST_REQUEST_SECONDS):
                first = await context.read()
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, f"no request within {FIRST_REQUEST_SECONDS:.0f} s")
        if first is grpc.aio.EOF:
            return
        try:
            proxy = _read_node(first.node)
        except ValueError as error:
            log.warning("Refused a stream of %s: %s", context.peer(), error)
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        stranger = self._mistaken_for(context.peer(), proxy)
        if stranger:
            log.warning("Refused a stream of %s: %s", context.peer(), stranger)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, stranger)
        if self._gate is not None and self._gate.came_through(context.peer()):
            proxy = replace(proxy, verified=True)
        connection = Connection(
            id=self._connections.new_id(proxy.id),
            proxy=proxy,
            session=Session(delta=delta, new_nonce=_new_nonce),
            address=context.peer(),
            version=_read_version(first.node),
            since=time.time(),
        )
        await self._serve(connection, context, first)

    def _mistaken_for(self, peer: str, proxy: Proxy) -> str:
        """Why a client that came through TLS is not the proxy that it says it is; "" when it is."""
        if self._gate is None or not self._gate.came_through(peer):
            return ""
        identity = self._gate.peer(peer)
        if identity is None:
            return "xDS over TLS needs a client certificate of this mesh: ask for one with CreateCertificate"
        said = (proxy.namespace, proxy.service_account or "default")
        if (identity.namespace, identity.service_account) != said:
            return f"{identity} may not ask for the configuration of {said[1]} in {said[0]}"
        return ""

    async def _serve(self, connection: Connection, context: Any, first: Any) -> None:
        self._connections.add(connection)
        self._metrics.client_came(connection.version)
        log.info("%s connected from %s", connection.id, connection.address)
        stream = Stream(
            connection,
            self._connections,
            lambda: self._source(connection.proxy),
            self._metrics,
            self._workshop,
        )
        try:
            await stream.run(context, first)
        finally:
            self._connections.remove(connection)
            self._metrics.client_left(connection.version)
            log.info("%s is gone", connection.id)


def _handlers(sotw: Any, delta: Any) -> Any:
    """Both methods; responses are bytes already."""
    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "StreamAggregatedResources": grpc.stream_stream_rpc_method_handler(
                sotw, request_deserializer=discovery_pb2.DiscoveryRequest.FromString
            ),
            "DeltaAggregatedResources": grpc.stream_stream_rpc_method_handler(
                delta, request_deserializer=discovery_pb2.DeltaDiscoveryRequest.FromString
            ),
        },
    )


def _read_node(node: base_pb2.Node) -> Proxy:
    """The proxy that a stream is for; raises ValueError with a sentence for the client."""
    if not node.id:
        raise ValueError("the first request of a stream must carry node.id")
    locality = "/".join(part for part in (node.locality.region, node.locality.zone, node.locality.sub_zone) if part)
    return Proxy.from_node(node.id, MessageToDict(node.metadata), locality)


def _read_version(node: base_pb2.Node) -> str:
    """What the client runs: Istio's metadata, else its user agent, and not more of it than anybody wants to read."""
    stated = node.metadata.fields["ISTIO_VERSION"].string_value if "ISTIO_VERSION" in node.metadata.fields else ""
    if stated:
        return stated[:MAX_VERSION]
    build = node.user_agent_build_version.version
    number = node.user_agent_version or f"{build.major_number}.{build.minor_number}.{build.patch}"
    return f"{node.user_agent_name}/{number}"[:MAX_VERSION] if node.user_agent_name else "unknown"


def _new_nonce(version: str) -> str:
    return f"{version}/{uuid.uuid4()}"
