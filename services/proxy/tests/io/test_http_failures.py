"""What the proxy answers itself, and what happens to connections when something fails."""

import pytest
from playbook import (
    Cut,
    World,
    _take,
    after,
    applies,
    client_closes,
    client_gets,
    client_gets_bytes,
    client_is,
    client_sends,
    connects,
    endpoint_closes,
    endpoint_gets,
    endpoint_is,
    endpoint_sends,
    mesh,
    no_connect,
    play,
    refused,
)

from mizzen.proxy.engine.plan import ClusterPlan, EndpointPlan, EndpointSetPlan, Plan
from mizzen.proxy.engine.tls_plan import ClientTlsPlan, SocketMatch, SocketsPlan, TlsPlan

GET = b"GET / HTTP/1.1\r\nHost: reviews\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 2\r\n\r\nhi"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ADDRESS = "10.0.0.1:80"
UNAVAILABLE = "HTTP/1.1 503 Service Unavailable"
ORIGIN = " (VirtualService default/reviews)"
RESET = b"upstream connect error or disconnect/reset before headers. reset reason: "


def test_no_route() -> None:
    plans = mesh()
    play(
        (plans[0], plans[2]),
        client_sends(GET),
        client_gets("HTTP/1.1 404 Not Found", {"x-mesh-reason": "NR no route of table 80 matches reviews /"}),
        client_is(closed=False),
    )


def test_no_cluster() -> None:
    plans = mesh()
    reason = "NC cluster reviews is not known" + ORIGIN
    play(plans[:2], client_sends(GET), client_gets(UNAVAILABLE, {"x-mesh-reason": reason}, b""))


def test_no_endpoint() -> None:
    reason = "UH cluster reviews has no endpoint to send to" + ORIGIN
    play(
        mesh(endpoints=()),
        client_sends(GET),
        client_gets(UNAVAILABLE, {"x-mesh-reason": reason, "content-type": "text/plain"}, b"no healthy upstream"),
    )


def test_http2_endpoints_are_refused_by_name() -> None:
    play(mesh(cluster={"http2": True}), client_sends(GET), client_gets(UNAVAILABLE, None, None), no_connect())


def test_connect_failure() -> None:
    reason = "UF no connection to 10.0.0.1:80 of cluster reviews: delayed connect error: Connection refused" + ORIGIN
    body = RESET + b"remote connection failure"
    world = play(
        mesh(),
        client_sends(GET),
        refused(ADDRESS),
        client_gets(UNAVAILABLE, {"x-mesh-reason": reason}, body),
        no_connect(),
    )
    endpoint = world.runtime.clusters["reviews"].state.endpoints[ADDRESS]
    assert (endpoint.connect_failures, endpoint.active_requests) == (1, 0)


def test_connect_timeout() -> None:
    play(
        mesh(),
        client_sends(GET),
        refused(ADDRESS, "connection timeout", timed_out=True),
        client_gets(UNAVAILABLE, None, RESET + b"connection timeout"),
    )


def test_a_connect_failure_is_retried_elsewhere() -> None:
    world = play(
        mesh(endpoints=("10.0.0.1:80", "10.0.0.2:80"), forward={"retry_connect_failures": 1}),
        client_sends(POST),
        refused("10.0.0.2:80"),
        connects("10.0.0.1:80"),
        endpoint_gets("POST / HTTP/1.1", None, b"hi"),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", None, b"ok"),
    )
    assert world.runtime.clusters["reviews"].stats.upstream_rq_retry == 1


def test_retries_end() -> None:
    play(
        mesh(endpoints=("10.0.0.1:80", "10.0.0.2:80"), forward={"retry_connect_failures": 1}),
        client_sends(GET),
        refused("10.0.0.2:80"),
        refused("10.0.0.1:80"),
        client_gets(UNAVAILABLE, None, None),
        no_connect(),
    )


def test_a_connection_lost_before_the_response() -> None:
    play(
        mesh(),
        client_sends(GET),
        connects(ADDRESS),
        endpoint_closes(),
        client_gets(UNAVAILABLE, None, RESET + b"connection termination"),
        client_is(closed=False),
        no_connect(),
    )


def _first_exchange() -> tuple:
    return (
        client_sends(GET),
        connects(ADDRESS),
        endpoint_gets("GET / HTTP/1.1"),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", None, b"ok"),
    )


def test_a_reused_connection_lost_before_the_response_is_retried_once() -> None:
    play(
        mesh(),
        *_first_exchange(),
        client_sends(b"PUT / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 2\r\n\r\nhi"),
        endpoint_gets("PUT / HTTP/1.1", None, b"hi"),
        endpoint_closes(),
        connects(ADDRESS),
        endpoint_gets("PUT / HTTP/1.1", None, b"hi"),
        endpoint_closes(),
        no_connect(),
        client_gets(UNAVAILABLE, None, None),
    )


def test_what_is_not_idempotent_is_not_retried() -> None:
    play(
        mesh(),
        *_first_exchange(),
        client_sends(POST),
        endpoint_closes(),
        no_connect(),
        client_gets(UNAVAILABLE, None, None),
    )


def test_a_large_body_is_not_retried() -> None:
    body = b"x" * 70_000
    play(
        mesh(),
        *_first_exchange(),
        client_sends(b"PUT / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 70000\r\n\r\n" + body),
        endpoint_closes(),
        no_connect(),
        client_gets(UNAVAILABLE, None, None),
        cuts=(Cut(), Cut(20_000)),
    )


def test_an_idle_connection_closed_by_its_endpoint_is_not_used() -> None:
    play(mesh(), *_first_exchange(), endpoint_closes(), client_sends(GET), connects(ADDRESS))


def test_bytes_nobody_asked_for_close_an_idle_connection() -> None:
    play(mesh(), *_first_exchange(), endpoint_sends(OK), endpoint_is(closed=True), client_gets_bytes(b""))


def test_bytes_behind_a_response_poison_its_connection() -> None:
    world = World(mesh())
    world.client().receive(GET)
    endpoint = world.accept(ADDRESS)
    endpoint.receive(OK + OK)
    assert endpoint.closing
    assert _take(world.client()).count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("framing", [b"Content-Length: 10\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc"])
def test_a_response_cut_short_cuts_the_client(framing: bytes) -> None:
    world = play(
        mesh(),
        client_sends(GET),
        connects(ADDRESS),
        endpoint_sends(b"HTTP/1.1 200 OK\r\n" + framing),
        endpoint_closes(),
        client_is(closed=True),
    )
    assert not bytes(world.client().written).endswith(b"0\r\n\r\n")


def test_a_bad_chunk_in_a_response_cuts_the_client() -> None:
    play(
        mesh(),
        client_sends(GET),
        connects(ADDRESS),
        endpoint_sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
        endpoint_sends(b"zz\r\n"),
        client_is(closed=True),
        endpoint_is(closed=True),
    )


def test_a_client_that_leaves_frees_the_endpoint() -> None:
    world = play(
        mesh(),
        client_sends(GET),
        connects(ADDRESS),
        client_closes(),
        endpoint_is(closed=True),
    )
    assert world.runtime.clusters["reviews"].stats.upstream_rq_active == 0
    assert world.runtime.listeners["listener"].chains[None].http.stats.downstream_rq_active == 0


def test_a_client_that_leaves_the_queue() -> None:
    world = play(mesh(), client_sends(GET), client_closes(), connects(ADDRESS), endpoint_is(closed=False))
    assert world.runtime.clusters["reviews"].stats.upstream_rq_pending_active == 0
    assert len(world.runtime.clusters["reviews"].state.endpoints[ADDRESS].idle) == 1


def test_an_answer_before_the_end_of_the_request() -> None:
    play(
        mesh(),
        client_sends(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhi"),
        connects(ADDRESS),
        endpoint_sends(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"),
        client_gets("HTTP/1.1 413 Request Entity Too Large", None, b""),
        client_is(closed=True),
        endpoint_is(closed=True),
        client_sends(b"more"),
        after(1.5),
    )


# -- time -----------------------------------------------------------------------------------------------------------


def test_route_timeout() -> None:
    play(
        mesh(forward={"timeout": 2.0}),
        client_sends(GET),
        connects(ADDRESS),
        after(1.9),
        client_gets_bytes(b""),
        after(0.2),
        client_gets("HTTP/1.1 504 Gateway Timeout", {"content-type": "text/plain"}, b"upstream request timeout"),
        endpoint_is(closed=True),
        client_is(closed=False),
        client_sends(GET),
        connects(ADDRESS),
    )


def test_route_timeout_without_a_connection() -> None:
    play(
        mesh(forward={"timeout": 2.0}),
        client_sends(GET),
        after(2.1),
        client_gets("HTTP/1.1 504 Gateway Timeout", None, None),
    )


def test_route_timeout_mid_response_cuts_the_client() -> None:
    play(
        mesh(forward={"timeout": 2.0}),
        client_sends(GET),
        connects(ADDRESS),
        endpoint_sends(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
        after(2.1),
        client_is(closed=True),
        endpoint_is(closed=True),
    )


def test_every_request_has_its_own_timeout() -> None:
    play(
        mesh(forward={"timeout": 2.0}),
        *_first_exchange(),
        after(1.5),
        client_sends(GET),
        after(1.5),
        client_gets_bytes(b""),
        after(0.6),
        client_gets("HTTP/1.1 504 Gateway Timeout", None, None),
    )


def test_headers_timeout() -> None:
    play(
        mesh(http={"headers_timeout": 10.0}),
        client_sends(b"GET / HTTP/1.1\r\nHost"),
        after(9.0),
        client_sends(b": a"),
        client_gets_bytes(b""),
        after(1.1),
        client_gets("HTTP/1.1 408 Request Timeout", {"connection": "close"}, b"request header timeout"),
        client_is(closed=True),
        no_connect(),
    )


def test_stream_idle_timeout() -> None:
    play(
        mesh(http={"stream_idle_timeout": 5.0}),
        client_sends(GET),
        connects(ADDRESS),
        after(4.0),
        client_gets_bytes(b""),
        after(1.1),
        client_gets("HTTP/1.1 408 Request Timeout", None, b"stream timeout"),
    )


def test_bytes_put_the_stream_idle_timeout_off() -> None:
    play(
        mesh(http={"stream_idle_timeout": 5.0}),
        client_sends(GET),
        connects(ADDRESS),
        after(4.0),
        endpoint_sends(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"),
        after(4.0),
        client_is(closed=False),
        after(1.1),
        client_is(closed=True),
    )


def test_an_idle_client_is_closed() -> None:
    play(
        mesh(http={"idle_timeout": 60.0}),
        *_first_exchange(),
        after(59.0),
        client_is(closed=False),
        after(1.1),
        client_is(closed=True),
    )


def test_an_idle_endpoint_connection_is_closed() -> None:
    play(
        mesh(cluster={"idle_timeout": 60.0}),
        *_first_exchange(),
        after(30.0),
        client_sends(GET),
        endpoint_sends(OK),
        after(59.0),
        endpoint_is(closed=False),
        after(1.1),
        endpoint_is(closed=True),
    )


# -- limits and live configuration ----------------------------------------------------------------------------------


def test_requests_per_client_connection() -> None:
    play(
        mesh(http={"max_requests_per_connection": 2}),
        *_first_exchange(),
        client_sends(GET),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", {"connection": "close"}, b"ok"),
        client_is(closed=True),
    )


def test_requests_per_endpoint_connection() -> None:
    play(mesh(cluster={"max_requests_per_connection": 1}), *_first_exchange(), endpoint_is(closed=True))


def test_too_many_requests_wait() -> None:
    world = World(mesh())
    for number in range(1025):
        world.client(f"c{number}").receive(GET)
    assert len(world.connector.attempts) == 1024
    client_gets(UNAVAILABLE, None, RESET + b"overflow", client="c1024")(world, Cut())


def test_a_slow_client_pauses_the_endpoint() -> None:
    world = World(mesh())
    client = world.client()
    client.receive(GET)
    endpoint = world.accept(ADDRESS)
    endpoint.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    client.protocol.pause_writing()
    assert not endpoint.reading
    client.protocol.resume_writing()
    assert endpoint.reading


def test_a_paused_endpoint_connection_reads_again_when_it_rests() -> None:
    world = World(mesh())
    client = world.client()
    client.receive(GET)
    endpoint = world.accept(ADDRESS)
    client.protocol.pause_writing()
    endpoint.protocol.data_received(OK)  # read before the pause
    assert endpoint.reading


def test_a_slow_endpoint_pauses_the_client() -> None:
    world = World(mesh())
    client = world.client()
    client.receive(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
    assert not client.reading, "no connection yet: the body waits in the kernel"
    endpoint = world.accept(ADDRESS)
    assert client.reading
    endpoint.protocol.pause_writing()
    assert not client.reading
    endpoint.protocol.resume_writing()
    assert client.reading


def test_new_routes_hold_for_the_next_request_on_an_open_connection() -> None:
    other = mesh(endpoints=("10.0.0.9:80",))[2]
    moved = ClusterPlan("moved", "static", endpoint_set=other.endpoint_set)
    table = mesh(route={"origin": "new"})[1]
    plans = mesh()
    play(
        plans,
        client_sends(GET),
        connects(ADDRESS),
        applies(table, moved, removed=(("cluster", "reviews"),)),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", None, b"ok"),
        endpoint_is(closed=True),
        client_sends(GET),
        client_gets(UNAVAILABLE, {"x-mesh-reason": "NC cluster reviews is not known (new)"}, b""),
    )


def test_an_endpoint_that_leaves_finishes_what_it_has() -> None:
    plans = mesh()
    eds = ClusterPlan("reviews", "eds", endpoint_set="reviews")
    both = EndpointSetPlan("reviews", (EndpointPlan("10.0.0.1", 80),))
    play(
        (*plans[:2], eds, both),
        client_sends(GET),
        connects(ADDRESS),
        applies(EndpointSetPlan("reviews", (EndpointPlan("10.0.0.2", 80),))),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", None, b"ok"),
        endpoint_is(closed=True),
        client_sends(GET),
        connects("10.0.0.2:80"),
    )


SAYS_ISTIO = frozenset({("tlsMode", "istio")})
IN_TLS = SocketsPlan(otherwise=ClientTlsPlan(TlsPlan()))
AUTO = SocketsPlan((SocketMatch((("tlsMode", "istio"),), ClientTlsPlan(TlsPlan())),))
EDS = ClusterPlan("reviews", "eds", endpoint_set="reviews", sockets=AUTO)
PLAIN = EndpointSetPlan("reviews", (EndpointPlan("10.0.0.1", 80),))


TLS_BEGINS = pytest.mark.parametrize(
    "change",
    [
        ClusterPlan("reviews", "eds", endpoint_set="reviews", sockets=IN_TLS),
        EndpointSetPlan("reviews", (EndpointPlan("10.0.0.1", 80, says=SAYS_ISTIO),)),
    ],
)


@TLS_BEGINS
def test_a_connection_in_plain_text_carries_no_request_when_tls_is_to_be_spoken(change: Plan) -> None:
    world = World((*mesh()[:2], EDS, PLAIN))
    for name in ("busy", "idle"):
        world.client(name).receive(GET)
    busy, idle = (world.accept(ADDRESS) for _ in range(2))
    idle.receive(OK)
    world.apply(change)
    world.loop.run()
    assert (busy.closing, idle.closing) == (False, True)
    busy.receive(OK)
    assert _take(world.client("busy")).startswith(b"HTTP/1.1 200 OK")
    assert busy.closing


@TLS_BEGINS
def test_a_connection_that_began_before_tls_was_to_be_spoken_carries_no_request(change: Plan) -> None:
    world = World((*mesh()[:2], EDS, PLAIN))
    client = world.client()
    client.receive(GET)
    world.apply(change)
    began_in_plain_text = world.accept(ADDRESS)
    assert began_in_plain_text.closing
    assert _take(began_in_plain_text) == b""
    world.accept(ADDRESS).receive(OK)
    assert _take(client).startswith(b"HTTP/1.1 200 OK")
    assert world.runtime.stats(1).gauges["cluster", "reviews", "upstream_cx_active"] == 1


def test_a_removed_listener_closes_idle_clients_and_finishes_the_others() -> None:
    world = World(mesh())
    busy, idle = world.client("busy"), world.client("idle")
    busy.receive(GET)
    endpoint = world.accept(ADDRESS)
    world.apply(removed=(("listener", "listener"),))
    world.loop.run()
    assert idle.closing
    assert not busy.closing
    endpoint.receive(OK)
    client_gets("HTTP/1.1 200 OK", {"connection": "close"}, b"ok", client="busy")(world, Cut())
    assert busy.closing


def test_a_bad_plan_changes_nothing() -> None:
    plans = mesh()
    world = World(plans)
    bad = mesh(route={"request_edits": None})[1]
    with pytest.raises((ValueError, AttributeError)):
        world.apply(bad, removed=(("cluster", "reviews"),))
    world.client().receive(GET)
    world.accept(ADDRESS)


def test_a_client_that_met_a_timeout_still_has_its_idle_timeout() -> None:
    play(
        mesh(forward={"timeout": 2.0}, http={"idle_timeout": 60.0, "stream_idle_timeout": 0.0}),
        client_sends(GET),
        connects(ADDRESS),
        after(2.1),
        client_gets("HTTP/1.1 504 Gateway Timeout", None, None),
        after(59.0),
        client_is(closed=False),
        after(2.1),
        client_is(closed=True),
    )


def test_a_pipelined_request_has_its_whole_timeout() -> None:
    play(
        mesh(forward={"timeout": 2.0}),
        client_sends(GET + GET),
        connects(ADDRESS),
        after(1.5),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", None, b"ok"),
        after(1.5),
        client_gets_bytes(b""),
        after(0.6),
        client_gets("HTTP/1.1 504 Gateway Timeout", None, None),
    )


def test_reasons_are_for_development() -> None:
    """They name clusters, policies and addresses: who is not asked to tell them answers as Envoy does."""
    play(
        mesh(http={"tells_reasons": False}, endpoints=()),
        client_sends(GET),
        client_gets(UNAVAILABLE, {"x-mesh-reason": None}, b"no healthy upstream"),
    )
