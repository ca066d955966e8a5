"""Byte streams: a client's connection joined to an endpoint's, with back pressure and half-close. ★ hot."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, cast

from mizzen.proxy.base import flags
from mizzen.proxy.engine.state import EndpointState
from mizzen.proxy.engine.verdict import DENIED
from mizzen.proxy.io.cluster import Cluster
from mizzen.proxy.io.connect import address_text
from mizzen.proxy.io.stream_record import StreamRecord
from mizzen.proxy.io.telemetry import Key
from mizzen.proxy.io.timers import NEVER
from mizzen.proxy.io.tls_contexts import NoSecret

if TYPE_CHECKING:
    from mizzen.proxy.engine.arrival import Arrival
    from mizzen.proxy.engine.peer import TlsFacts
    from mizzen.proxy.io.chain import Chain
    from mizzen.proxy.io.inquiry import ConnectionInquiry


class Side(asyncio.Protocol):
    """One end of a tunnel: what arrives here is written to the other side."""

    __slots__ = ("eof", "other", "received", "transport", "tunnel")

    def __init__(self, tunnel: Tunnel) -> None:
        self.tunnel = tunnel
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.other: Side = cast("Side", None)
        self.received = 0
        self.eof = False

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        tunnel = self.tunnel
        tunnel.active_at = tunnel.runtime.now()
        if tunnel.upstream is None:
            tunnel.keep(data)
        else:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """Pass the half-close on; the other direction may go on."""
        self.eof = True
        if self.tunnel.upstream is None:
            return True
        if self.other.transport.is_closing():
            return False
        if self.other.transport.can_write_eof():
            self.other.transport.write_eof()
        return not self.other.eof

    def pause_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.tunnel.active_at = self.tunnel.runtime.now()
        if not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.tunnel.side_lost(self)


class DownstreamSide(Side):
    """The client's end; it begins the tunnel."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.tunnel.begin()


class UpstreamSide(Side):
    """The endpoint's end; counted with its cluster while it is open."""

    __slots__ = ("_cluster", "_endpoint")

    def __init__(self, tunnel: Tunnel, cluster: Cluster, endpoint: EndpointState) -> None:
        super().__init__(tunnel)
        self._cluster = cluster
        self._endpoint = endpoint

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        endpoint, stats = self._endpoint, self._cluster.stats
        endpoint.active_connections += 1
        endpoint.active_requests += 1  # Envoy counts a TCP connection as one request; the balancer wants it
        endpoint.total_requests += 1
        stats.upstream_cx_active += 1
        stats.upstream_rq_active += 1
        stats.upstream_rq_total += 1
        self.tunnel.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        endpoint, stats = self._endpoint, self._cluster.stats
        endpoint.active_connections -= 1
        endpoint.active_requests -= 1
        stats.upstream_cx_active -= 1
        stats.upstream_rq_active -= 1
        stats.upstream_cx_destroy += 1
        if self.tunnel.upstream is self:  # else the client left before
            super().connection_lost(exc)


class Tunnel(StreamRecord):
    """A client connection of a TCP filter chain, from accept to the access log."""

    def __init__(self, chain: Chain, arrival: Arrival | None = None) -> None:
        self.chain = chain
        self.arrival = arrival
        """What was found out before; None where nothing had to be."""
        self.runtime = chain.runtime
        self.manager = chain.tcp
        self.look_at = NEVER
        self.downstream = DownstreamSide(self)
        self.upstream: UpstreamSide | None = None
        """None until connected."""
        self._open = 0
        """Sides whose connection is not lost yet."""
        self._early: list[bytes] = []
        self.endpoint: EndpointState | None = None
        self.started_at = self.active_at = self.runtime.now()
        self.ended_at = 0.0
        self.connection_id = self.runtime.next_connection_id()
        self.guarded = None if self.manager.mixer is None else self.manager.mixer.watch(self)
        """Its dealings with Mixer; None without."""
        self.admitted = False
        self.inquiry: ConnectionInquiry | None = None
        """The question to an authorizer that is not answered yet."""

    # -- life -------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The client is here: connect to an endpoint, when Mixer allows it."""
        self._open = 1
        transport = self.downstream.transport
        self.downstream_remote_address = address_text(transport.get_extra_info("peername"))
        arrival = self.arrival
        self.downstream_local_address = address_text(
            transport.get_extra_info("sockname") if arrival is None else arrival.destination
        )
        self.chain.opened(self)
        self.manager.stats.downstream_cx_total += 1
        transport.set_write_buffer_limits(self.chain.buffer_limit)
        self.judge()

    def judge(self) -> None:
        """Ask the guards, also again when they have changed: who is refused now is turned away."""
        if self.inquiry is not None:
            self.inquiry.cancel()
            self.inquiry = None
        authorization = self.chain.tcp.authorization
        proceed = partial(self._proceed)
        if authorization is None or authorization.admits_connection(self, proceed):
            proceed()

    def _proceed(self) -> None:
        self.inquiry = None
        if self.admitted or self.downstream.transport.is_closing():
            return
        self.admitted = True
        if self.guarded is None:
            self.connect()
        else:
            self.guarded.begin()

    def turn_away(self, flag: str, details: str) -> None:
        """Guards refuse this connection, perhaps after they have admitted it."""
        self.flags = self.flags or flag
        self.details = self.details or details
        self.connection_termination_details = details
        self.abort()

    def refuse(self, reason: str) -> None:
        """Mixer does not want this connection."""
        self._give_up(DENIED, reason.replace(" ", "_"))

    def connect(self) -> None:
        """Choose an endpoint and connect to it."""
        if self.downstream.transport.is_closing():
            return
        self.upstream_cluster = name = self.manager.choose(self.runtime.chance(), self.server_name)
        cluster = self.runtime.clusters.get(name)
        if cluster is None:
            self.manager.stats.downstream_cx_no_route += 1
            self._give_up(flags.NO_CLUSTER_FOUND, "cluster_not_found")
            return
        if cluster.destinations is None:
            endpoint = cluster.state.pick(self.runtime.chance)
        else:
            endpoint = cluster.destinations.of_arrival(self.arrival)
        self.endpoint = endpoint
        if endpoint is None:
            cluster.stats.upstream_cx_none_healthy += 1
            self._give_up(flags.NO_HEALTHY_UPSTREAM, "no_healthy_upstream")
            return
        cluster.stats.upstream_cx_total += 1
        endpoint.total_connections += 1
        try:
            security = cluster.security(endpoint)
        except NoSecret as error:
            self._connect_failed(cluster, endpoint, f"TLS_error: {error}", timed_out=False)
            return
        self.runtime.connector.connect(
            lambda: UpstreamSide(self, cluster, endpoint),
            (endpoint.address, endpoint.port),
            cluster.plan.connect_timeout,
            partial(self._connect_failed, cluster, endpoint),
            cluster.source(endpoint.address),
            security,
        )

    def joined(self, upstream: UpstreamSide) -> None:
        """The endpoint accepted: join both sides."""
        if self.downstream.transport.is_closing():
            upstream.transport.abort()
            return
        self.upstream = upstream
        self._open = 2
        upstream.other = self.downstream
        self.downstream.other = upstream
        self.upstream_local_address = address_text(upstream.transport.get_extra_info("sockname"))
        upstream.transport.set_write_buffer_limits(self.chain.buffer_limit)
        self.active_at = self.runtime.now()
        self.downstream.transport.resume_reading()  # before the write, which may pause it again
        upstream.transport.writelines(self._early)
        self._early.clear()
        if self.downstream.eof:
            upstream.transport.write_eof()
        self.runtime.telemetry.stream(self._kind(), tcp_connections_opened_total=1)
        if self.manager.idle_timeout:
            self.runtime.wheel.look(self, self.active_at + self.manager.idle_timeout)
        if self.guarded is not None:
            self.guarded.joined()

    def keep(self, data: bytes) -> None:
        """What the client sent before the endpoint accepted: one read, for reading pauses then."""
        self._early.append(data)
        self.downstream.transport.pause_reading()

    def _connect_failed(self, cluster: Cluster, endpoint: EndpointState, reason: str, *, timed_out: bool) -> None:
        cluster.stats.upstream_cx_connect_fail += 1
        if timed_out:
            cluster.stats.upstream_cx_connect_timeout += 1
        endpoint.connect_failures += 1
        self.upstream_transport_failure_reason = reason
        failure = flags.connect_timeout() if timed_out else flags.connect_failure(reason)
        self._give_up(failure.flag, failure.details)

    def _give_up(self, flag: str, details: str) -> None:
        self.flags = self.flags or flag
        self.details = self.details or details
        self.downstream.transport.abort()

    def side_lost(self, side: Side) -> None:
        """One side is gone: let the other write what it has, for as long as it may idle; the last one ends it all."""
        self._open -= 1
        if self._open:
            side.other.transport.close()
        else:
            self._account()

    def _account(self) -> None:
        self.runtime.wheel.forget(self)
        self.chain.closed(self)
        self.ended_at = self.runtime.now()
        stats = self.manager.stats
        stats.downstream_cx_rx_bytes_total += self.bytes_received
        stats.downstream_cx_tx_bytes_total += self.bytes_sent
        if self.upstream_cluster:
            self.runtime.telemetry.stream(
                self._kind(),
                tcp_connections_opened_total=int(self.upstream is None),  # else it was counted when it was joined
                tcp_connections_closed_total=1,
                tcp_received_bytes_total=self.bytes_received,
                tcp_sent_bytes_total=self.bytes_sent,
            )
        for log in self.manager.logs:
            log.append(self)
        if self.inquiry is not None:
            self.inquiry.cancel()
        if self.guarded is not None:
            self.guarded.end()

    def _kind(self) -> Key:
        """What Istio's metrics tell apart."""
        workload = self.endpoint.workload if self.endpoint is not None else ""
        principal = self.arrival.principal if self.arrival is not None else ""
        return (self.chain.listener.plan.direction, self.upstream_cluster, -1, self.flags, workload, b"", principal)

    def on_timer(self, now: float) -> float:
        """Close a tunnel in which nothing moves."""
        due = self.active_at + self.manager.idle_timeout
        if due > now:
            return due
        self.manager.stats.idle_timeout += 1
        self.details = self.details or "idle_timeout"
        self.abort()
        return NEVER

    def close(self) -> None:
        """A tunnel is never idle: a drain leaves it alone until the grace period ends."""

    def abort(self) -> None:
        """Cut both sides."""
        if self.upstream is not None:
            self.upstream.transport.abort()
        self.downstream.transport.abort()

    # -- the access log's view --------------------------------------------------------------------------------------

    @property
    def server_name(self) -> str:
        return self.arrival.server_name if self.arrival is not None else ""

    @property
    def tls(self) -> TlsFacts | None:
        return self.arrival.tls if self.arrival is not None else None

    @property
    def attempts(self) -> int:
        return 1 if self.endpoint is not None else 0

    @property
    def start_time(self) -> float:
        return self.runtime.unix_time(self.started_at)

    @property
    def duration(self) -> float | None:
        return self.ended_at - self.started_at if self.ended_at else None

    @property
    def bytes_received(self) -> int:
        return self.downstream.received

    @property
    def bytes_sent(self) -> int:
        return self.upstream.received if self.upstream is not None else 0

    @property
    def upstream_host(self) -> str:
        return self.endpoint.key if self.endpoint is not None else ""
