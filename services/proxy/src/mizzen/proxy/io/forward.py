"""Where a request goes: route, endpoint, connection; and on to the next endpoint when that fails. ★ hot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mizzen.proxy.base import flags
from mizzen.proxy.base.flags import LocalReply
from mizzen.proxy.codec.h1_write import TRANSFER_ENCODING_CHUNKED, request_head
from mizzen.proxy.codec.headers import Head, line, replace_host
from mizzen.proxy.engine.route import FORWARD, REDIRECT, Route
from mizzen.proxy.engine.state import EndpointState
from mizzen.proxy.io.exchange import CHUNKED, UNTARGETED, Exchange
from mizzen.proxy.io.respond import TEXT, answer, reply

if TYPE_CHECKING:
    from mizzen.proxy.io.cluster import Cluster
    from mizzen.proxy.io.pool import Pool

IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
"""Methods whose requests may be sent again although the endpoint may have seen them (RFC 9110 §9.2.2)."""


def begin(x: Exchange, route: Route | None = None) -> None:
    """Find the route of a request and set out on it, or answer.

    With `route` it has been found before, and Mixer lets the request pass.
    """
    manager = x.manager
    if route is None:
        table = manager.table
        route = table.find(x) if table is not None else None
        if route is None:
            _no_route(x)
            return
        x.route = route
        if manager.mixer is not None and not manager.mixer.admits(x, route):
            return
    if route.kind != FORWARD:
        _answer_directly(x, route)
        return
    runtime = x.downstream.runtime
    target = x.target
    if target is UNTARGETED:
        x.target = target = route.target(runtime.chance())
    cluster = runtime.clusters.get(target.cluster)
    if cluster is None:
        manager.stats.no_cluster += 1
        reply(x, flags.NO_CLUSTER, f"cluster {target.cluster} is not known")
        return
    x.cluster = cluster
    if cluster.is_special:
        if cluster.plan.http2:
            reply(x, flags.NO_ENDPOINT, f"cluster {target.cluster} demands HTTP/2, which this proxy does not speak yet")
            return
        x.tried = []  # it is not the balancer that picks
    head = x.head
    if route.rewrite_path is not None:
        head[b"x-envoy-original-path"] = line(b"x-envoy-original-path", x.path)
        x.path = route.rewrite_path(x.path)
    if target.request_edits is not None:
        target.request_edits.apply(head, x)
    if target.host_rewrite:
        replace_host(head, target.host_rewrite)
    if route.timeout:
        head[b"x-envoy-expected-rq-timeout-ms"] = route.timeout_line
    if x.body_kind == CHUNKED:
        head[b"transfer-encoding"] = TRANSFER_ENCODING_CHUNKED
    if not route.include_attempt_count:
        x.request_bytes = request_head(x.method, x.path, head)
    attempt(x, cluster)


def turn_away(x: Exchange, local: LocalReply, reason: str) -> None:
    """Answer a request that may not go on; logs and metrics have where it would have gone, as Envoy's do."""
    manager = x.manager
    if x.target is UNTARGETED and manager.table is not None:
        route = manager.table.find(x)
        if route is not None and route.kind == FORWARD:
            x.target = route.target(x.downstream.runtime.chance())
    if manager.mixer is not None:
        manager.mixer.learn_peer(x)
    reply(x, local, reason, by_route=False)


def attempt(x: Exchange, cluster: Cluster) -> None:
    """Send the request to an endpoint: over its most recently used idle connection, or a new one."""
    endpoint = cluster.state.pick(x.downstream.runtime.chance) if x.tried is None else _pick_another(x, cluster)
    if endpoint is None:
        cluster.stats.upstream_cx_none_healthy += 1
        reply(x, flags.NO_ENDPOINT, f"cluster {cluster.name} has no endpoint to send to")
        return
    x.endpoint = endpoint
    x.attempts += 1
    if x.route.include_attempt_count:
        x.head[b"x-envoy-attempt-count"] = b"x-envoy-attempt-count: %d" % x.attempts
        x.request_bytes = request_head(x.method, x.path, x.head)
    cluster.stats.upstream_rq_total += 1
    cluster.stats.upstream_rq_active += 1
    endpoint.total_requests += 1
    endpoint.active_requests += 1
    idle = endpoint.idle
    if idle:
        idle.pop().send(x)
    elif cluster.is_special:
        cluster.pool_of(endpoint, x).wait(x)
    else:
        cluster.pool(endpoint).wait(x)


def _pick_another(x: Exchange, cluster: Cluster) -> EndpointState | None:
    """An endpoint that has not refused this request yet, if the balancer finds one; else any.

    Where it is the client that picks, there is only one.
    """
    if cluster.destinations is not None:
        return cluster.destinations.of_exchange(x)
    chance = x.downstream.runtime.chance
    picked = cluster.state.pick(chance)
    for _ in range(len(cluster.state.endpoints)):
        if picked is None or picked not in (x.tried or ()):
            return picked
        picked = cluster.state.pick(chance)
    return picked


def leave_endpoint(x: Exchange, *, failed: bool) -> None:
    """The attempt is over, one way or the other."""
    endpoint, cluster = x.endpoint, x.cluster
    if endpoint is not None and cluster is not None:
        endpoint.active_requests -= 1
        cluster.stats.upstream_rq_active -= 1
        if failed:
            endpoint.failed_requests += 1


def abandon(x: Exchange, *, failed: bool) -> None:
    """Let go of the endpoint's connection, or of the place in the queue for one; `failed`: the endpoint's fault."""
    if x.upstream is not None:
        x.upstream.abandon(x)
        leave_endpoint(x, failed=failed)
    elif x.pool is not None:
        x.pool.cancel(x)
        leave_endpoint(x, failed=False)
    elif x.check is not None:
        x.check.cancel(x)


def connect_failed(x: Exchange, pool: Pool, failure: LocalReply, reason: str) -> None:
    """No connection: try another endpoint if the route allows, else answer."""
    leave_endpoint(x, failed=True)
    x.upstream_transport_failure_reason = reason
    x.tried = [*(x.tried or ()), pool.endpoint]
    stats = pool.cluster.stats
    if len(x.tried) <= x.route.retry_connect_failures:
        stats.upstream_rq_retry += 1
        attempt(x, pool.cluster)
        return
    if x.route.retry_connect_failures:
        stats.upstream_rq_retry_limit_exceeded += 1
        x.flags = flags.UPSTREAM_RETRY_LIMIT_EXCEEDED
    reply(x, failure, f"no connection to {pool.endpoint.key} of cluster {pool.cluster.name}: {reason}")


def connection_lost(x: Exchange, pool: Pool, *, reused: bool) -> None:
    """The endpoint closed the connection before it answered: send once more what may be sent again, else answer."""
    leave_endpoint(x, failed=True)
    stats = pool.cluster.stats
    if reused and x.replay is not None and x.method in IDEMPOTENT:
        # An idle connection that the endpoint closed at the same moment; a new attempt may meet another such one,
        # so its idle connections go first.
        pool.close_idle()
        stats.upstream_rq_retry += 1
        x.waiting_body = x.replay
        attempt(x, pool.cluster)
        return
    stats.upstream_rq_rx_reset += 1
    where = f"{pool.endpoint.key} of cluster {pool.cluster.name}"
    reply(x, flags.connection_termination(), f"{where} closed the connection unanswered")


def _no_route(x: Exchange) -> None:
    manager = x.manager
    manager.stats.no_route += 1
    authority = x.authority.decode("latin-1")
    reply(
        x,
        flags.NO_ROUTE,
        f"no route of table {manager.table_name} matches {authority} {x.path.partition(b'?')[0].decode('latin-1')}",
    )


def _answer_directly(x: Exchange, route: Route) -> None:
    head: Head = {}
    if route.kind == REDIRECT:
        x.manager.stats.rq_redirect += 1
        head[b"location"] = line(b"location", route.redirect_location(x))
        body = b""
    else:
        x.manager.stats.rq_direct_response += 1
        body = route.body
    x.details = "direct_response"
    x.status = route.status
    x.response_head = head
    if body:
        head[b"content-type"] = TEXT
    if route.response_edits is not None:
        route.response_edits.apply(head, x)
    answer(x, route.status, head, body)
