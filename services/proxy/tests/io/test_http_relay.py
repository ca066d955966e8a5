"""Requests and responses through the proxy: what is forwarded, what is changed, how bodies end."""

import re

import pytest
from playbook import (
    Cut,
    Message,
    World,
    _take,
    client_gets,
    client_gets_bytes,
    client_is,
    client_sends,
    connects,
    endpoint_closes,
    endpoint_gets,
    endpoint_gets_bytes,
    endpoint_is,
    endpoint_sends,
    mesh,
    no_connect,
    play,
)

from mizzen.proxy.engine.match_plan import PathMatch, RouteMatch
from mizzen.proxy.engine.plan import Forward, HeaderEdits, Redirect, Respond, RoutePlan, WeightedCluster

GET = b"GET / HTTP/1.1\r\nHost: reviews\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ADDRESS = "10.0.0.1:80"


def test_a_proxy_that_has_a_name_adds_itself_to_via_on_both_ways() -> None:
    play(
        mesh(http={"via": "1.1 outbound"}),
        client_sends(b"GET / HTTP/1.1\r\nHost: reviews\r\nVia: 1.1 cache\r\n\r\n"),
        connects(ADDRESS),
        endpoint_gets("GET / HTTP/1.1", {"Via": "1.1 cache, 1.1 outbound"}),
        endpoint_sends(b"HTTP/1.1 200 OK\r\nVia: 1.1 inbound\r\nContent-Length: 2\r\n\r\nok"),
        client_gets("HTTP/1.1 200 OK", {"Via": "1.1 inbound, 1.1 outbound"}, b"ok"),
    )


def test_an_answer_of_its_own_names_the_proxy_too() -> None:
    play(
        mesh(http={"via": "1.1 outbound"}, endpoints=()),
        client_sends(GET),
        client_gets("HTTP/1.1 503 Service Unavailable", {"via": "1.1 outbound"}, b"no healthy upstream"),
    )


def test_a_request_and_its_response() -> None:
    world = play(
        mesh(),
        client_sends(b"GET /a?b HTTP/1.1\r\nHost: reviews:9080\r\nUser-Agent: curl\r\nX-Odd: 1\r\nx-odd: 2\r\n\r\n"),
        connects(ADDRESS),
        endpoint_gets(
            "GET /a?b HTTP/1.1",
            {"Host": "reviews:9080", "User-Agent": "curl", "X-Odd": "1", "x-odd": "2", "x-forwarded-proto": "http"},
        ),
        endpoint_sends(b"HTTP/1.1 200 Fine\r\nServer: nginx\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok"),
        client_gets(
            "HTTP/1.1 200 OK",
            {"Content-Length": "2", "X-A": "1", "server": "envoy", "Server": None, "connection": None},
            b"ok",
        ),
        client_is(closed=False),
        endpoint_is(closed=False),
    )
    cluster = world.runtime.clusters["reviews"]
    assert cluster.stats.upstream_rq_completed == 1
    assert cluster.stats.statuses.by_code == {200: 1}
    assert cluster.stats.upstream_rq_active == 0
    assert [endpoint.active_requests for endpoint in cluster.state.endpoints.values()] == [0]


def test_a_second_request_uses_the_same_connection() -> None:
    play(
        mesh(),
        client_sends(GET),
        connects(ADDRESS),
        endpoint_sends(OK),
        client_sends(GET),
        no_connect(),
        endpoint_sends(OK),
    )


def test_request_ids_are_made_once_and_kept() -> None:
    world = World(mesh())
    world.client().receive(GET)
    endpoint = world.accept(ADDRESS)
    made = dict(Message.parse(_take(endpoint)).headers)["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", made)
    play(
        mesh(),
        client_sends(b"GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\n\r\n"),
        connects(ADDRESS),
        endpoint_gets("GET / HTTP/1.1", {"X-Request-Id": "mine", "x-request-id": None}),
    )


def test_hop_by_hop_headers_stay_on_their_hop() -> None:
    play(
        mesh(),
        client_sends(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Secret\r\nKeep-Alive: 5\r\nX-Secret: 1\r\n"
            b"Proxy-Connection: close\r\nTE: gzip, trailers\r\nUpgrade: h2c\r\n\r\n"
        ),
        connects(ADDRESS),
        endpoint_gets(
            "GET / HTTP/1.1",
            {
                "Connection": None,
                "Keep-Alive": None,
                "X-Secret": None,
                "Proxy-Connection": None,
                "Upgrade": None,
                "te": "trailers",
            },
        ),
        endpoint_sends(
            b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Own\r\nKeep-Alive: 5\r\nX-Own: 1\r\n"
            b"Content-Length: 0\r\n\r\n"
        ),
        client_gets("HTTP/1.1 200 OK", {"Connection": None, "Keep-Alive": None, "X-Own": None}),
    )


def test_a_sized_body_is_passed_on_as_it_is() -> None:
    play(
        mesh(),
        client_sends(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world"),
        connects(ADDRESS),
        endpoint_gets("POST / HTTP/1.1", {"Content-Length": "11", "transfer-encoding": None}, b"hello world"),
    )


def test_chunked_bodies_and_trailers_both_ways() -> None:
    play(
        mesh(),
        client_sends(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
        connects(ADDRESS),
        endpoint_gets("POST / HTTP/1.1", {"transfer-encoding": "chunked", "Transfer-Encoding": None}),
        client_sends(b"3;x=y\r\nabc\r\n0\r\nT: 1\r\nHost: evil\r\n\r\n"),
        endpoint_gets_bytes(b"3\r\nabc\r\n0\r\nT: 1\r\n\r\n"),
        endpoint_sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n"),
        client_gets("HTTP/1.1 200 OK", {"transfer-encoding": "chunked", "Trailer": "grpc-status"}),
        endpoint_sends(b"4\r\nwxyz\r\n0\r\ngrpc-status: 0\r\n\r\n"),
        client_gets_bytes(b"4\r\nwxyz\r\n0\r\ngrpc-status: 0\r\n\r\n"),
        client_is(closed=False),
        endpoint_is(closed=False),
        cuts=(Cut(), Cut(10_000, 2)),
    )


def test_bodies_survive_any_slicing() -> None:
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (b"a" * 30, b"b", b"c" * 17)) + b"0\r\n\r\n"
    for stride in (1, 2, 5, 13):
        world = World(mesh())
        cut = Cut(stride)
        client_sends(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body)(world, cut)
        endpoint = world.accept(ADDRESS)
        rest = Message.parse(_take(endpoint)).rest
        assert _unchunk(rest) == b"a" * 30 + b"b" + b"c" * 17


def _unchunk(data: bytes) -> bytes:
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        if size == b"0":
            assert data == b"\r\n"
            return body
        body += data[: int(size, 16)]
        data = data[int(size, 16) + 2 :]


@pytest.mark.parametrize("status", [204, 304])
def test_responses_without_a_body_by_their_status(status: int) -> None:
    play(
        mesh(),
        client_sends(GET),
        connects(ADDRESS),
        endpoint_sends(b"HTTP/1.1 %d X\r\nETag: x\r\n\r\n" % status),
        client_gets(
            f"HTTP/1.1 {status} {'No Content' if status == 204 else 'Not Modified'}",
            {"ETag": "x", "transfer-encoding": None},
        ),
        client_sends(GET),
        no_connect(),
    )


@pytest.mark.parametrize("framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
def test_a_response_to_head_has_no_body(framing: bytes) -> None:
    play(
        mesh(),
        client_sends(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"),
        connects(ADDRESS),
        endpoint_sends(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n"),
        client_gets("HTTP/1.1 200 OK"),
        client_sends(GET),
        no_connect(),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", None, b"ok"),
    )


def test_a_response_that_ends_with_its_connection() -> None:
    play(
        mesh(),
        client_sends(GET),
        connects(ADDRESS),
        endpoint_sends(b"HTTP/1.1 200 OK\r\n\r\n"),
        client_gets("HTTP/1.1 200 OK", {"transfer-encoding": "chunked"}),
        endpoint_sends(b"hello"),
        client_gets_bytes(b"5\r\nhello\r\n"),
        endpoint_closes(),
        client_gets_bytes(b"0\r\n\r\n"),
        client_is(closed=False),
        cuts=(Cut(),),
    )


def test_informational_responses_are_passed_on() -> None:
    play(
        mesh(),
        client_sends(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
        connects(ADDRESS),
        endpoint_gets("POST / HTTP/1.1", {"Expect": "100-continue"}),
        endpoint_sends(b"HTTP/1.1 100 Continue\r\n\r\n"),
        client_gets_bytes(b"HTTP/1.1 100 Continue\r\n\r\n"),
        client_sends(b"hi"),
        endpoint_gets_bytes(b"hi"),
        endpoint_sends(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"),
        client_gets_bytes(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", None, b"ok"),
    )


@pytest.mark.parametrize(
    "header", [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: close, x", b"Keep-Alive: 1"]
)
def test_an_informational_response_says_nothing_of_framing_or_its_connection(header: bytes) -> None:
    play(
        mesh(),
        client_sends(GET),
        connects(ADDRESS),
        endpoint_sends(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n" + header + b"\r\n\r\n"),
        client_gets_bytes(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", None, b"ok"),
    )


def test_a_connection_that_mixed_http_10_and_chunked_serves_nobody_else() -> None:
    play(
        mesh(),
        client_sends(GET),
        connects(ADDRESS),
        endpoint_sends(
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        ),
        client_gets("HTTP/1.1 200 OK", {"transfer-encoding": "chunked"}, None),
        endpoint_is(closed=True),
    )


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_of_our_own_has_no_body_where_none_may_be(status: int) -> None:
    world = World(mesh(routes=(RoutePlan("no", RouteMatch(PathMatch("prefix", "/")), Respond(status, b"body")),)))
    world.client().receive(GET)
    head, _, body = _take(world.client()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type" not in head
    assert b"content-length" not in head
    assert body == b""


def test_a_reason_stays_on_its_line() -> None:
    play(
        mesh(route={"origin": "a\r\nx: b\0"}, endpoints=()),
        client_sends(GET),
        client_gets(
            "HTTP/1.1 503 Service Unavailable",
            {"x-mesh-reason": "UH cluster reviews has no endpoint to send to (a  x: b )", "x": None},
            None,
        ),
    )


def test_pipelined_requests_are_answered_in_order() -> None:
    play(
        mesh(),
        client_sends(
            b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
            b"GET /3 HTTP/1.1\r\nHost: a\r\n\r\n"
        ),
        connects(ADDRESS),
        no_connect(),
        endpoint_gets("GET /1 HTTP/1.1"),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", None, b"ok"),
        endpoint_gets("POST /2 HTTP/1.1", None, b"hi"),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", None, b"ok"),
        endpoint_gets("GET /3 HTTP/1.1"),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", None, b"ok"),
        client_is(closed=False),
    )


def test_a_bad_request_behind_a_good_one_waits_for_its_turn() -> None:
    play(
        mesh(),
        client_sends(GET + b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        connects(ADDRESS),
        client_gets_bytes(b""),
        endpoint_sends(OK),
        client_is(closed=True),
    )


def client_got(world: World, responses: int) -> None:
    assert _take(world.client()).count(b"HTTP/1.1 200 OK\r\n") == responses


def test_a_connection_reads_on_after_pipelined_requests() -> None:
    play(
        mesh(),
        client_sends(GET + GET),
        connects(ADDRESS),
        endpoint_sends(OK),
        endpoint_sends(OK),
        lambda world, cut: client_got(world, 2),
        client_sends(GET),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", None, b"ok"),
    )


def test_a_pipelined_request_whose_body_is_broken_is_refused_in_its_turn() -> None:
    post = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n"
    world = World(mesh())
    client = world.client()
    client.receive(GET + post)
    endpoint = world.accept(ADDRESS)
    assert _take(endpoint).startswith(b"GET ")
    endpoint.receive(OK)
    first, _, second = _take(client).partition(b"ok")
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert second.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert _take(endpoint) == b""
    assert client.eof


def test_many_pipelined_direct_answers() -> None:
    routes = (RoutePlan("hi", RouteMatch(PathMatch("exact", "/hi")), Respond(200, b"hi")),)
    world = World(mesh(routes=routes))
    world.client().receive(b"GET /hi HTTP/1.1\r\nHost: a\r\n\r\n" * 3000)
    assert _take(world.client()).count(b"HTTP/1.1 200 OK\r\n") == 3000


def test_connection_close_from_the_client_is_honoured() -> None:
    play(
        mesh(),
        client_sends(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        connects(ADDRESS),
        endpoint_gets("GET / HTTP/1.1", {"Connection": None, "connection": None}),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", {"connection": "close"}, b"ok"),
        client_is(closed=True),
        endpoint_is(closed=False),
    )


def test_connection_close_from_the_endpoint_stays_with_it() -> None:
    play(
        mesh(),
        client_sends(GET),
        connects(ADDRESS),
        endpoint_sends(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
        client_gets("HTTP/1.1 200 OK", {"connection": None}, b"ok"),
        client_is(closed=False),
        endpoint_is(closed=True),
    )


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
        b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_upgrades_and_tunnels_are_refused(data: bytes) -> None:
    play(
        mesh(),
        client_sends(data),
        client_gets("HTTP/1.1 403 Forbidden", {"connection": "close"}, None),
        no_connect(),
        client_is(closed=True),
    )


def test_an_offer_of_http2_is_ignored() -> None:
    play(
        mesh(),
        client_sends(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            b"HTTP2-Settings: A\r\n\r\n"
        ),
        connects(ADDRESS),
        endpoint_gets("GET / HTTP/1.1", {"Connection": None, "Upgrade": None, "HTTP2-Settings": None}),
        endpoint_sends(OK),
        client_sends(GET),
        endpoint_sends(OK),
    )


def test_http_10_is_refused_unless_accepted() -> None:
    old = b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"
    play(mesh(), client_sends(old), client_gets("HTTP/1.1 426 Upgrade Required", {"connection": "close"}), no_connect())
    play(
        mesh(http={"accept_http_10": True}),
        client_sends(old),
        connects(ADDRESS),
        endpoint_gets("GET / HTTP/1.1"),
        endpoint_sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        client_gets("HTTP/1.1 200 OK", {"connection": "close", "transfer-encoding": None}, b"ok"),
        client_is(closed=True),
    )


def test_a_proxy_request_is_forwarded_in_origin_form() -> None:
    play(
        mesh(),
        client_sends(b"GET http://reviews:9080/a?b HTTP/1.1\r\nHost: other\r\n\r\n"),
        connects(ADDRESS),
        endpoint_gets("GET /a?b HTTP/1.1", {"Host": "reviews:9080"}),
    )


def test_edits_rewrites_and_what_a_route_adds() -> None:
    route = RoutePlan(
        "r",
        RouteMatch(PathMatch("prefix", "/old")),
        Forward((WeightedCluster("reviews"),), timeout=1.5, prefix_rewrite="/new", host_rewrite="elsewhere"),
        request_edits=HeaderEdits(remove=("x-gone",), set=(("X-Set", "1"),)),
        response_edits=HeaderEdits(add=(("X-Route", "%RESPONSE_CODE%"),)),
    )
    play(
        mesh(routes=(route,), host={"include_attempt_count": True}),
        client_sends(b"GET /old/a HTTP/1.1\r\nHost: a\r\nX-Gone: 1\r\nx-set: 0\r\n\r\n"),
        connects(ADDRESS),
        endpoint_gets(
            "GET /new/a HTTP/1.1",
            {
                "Host": "elsewhere",
                "X-Gone": None,
                "x-set": None,
                "X-Set": "1",
                "x-envoy-original-path": "/old/a",
                "x-envoy-expected-rq-timeout-ms": "1500",
                "x-envoy-attempt-count": "1",
            },
        ),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", {"X-Route": "200"}, b"ok"),
    )


def test_redirects_and_direct_responses() -> None:
    routes = (
        RoutePlan("to", RouteMatch(PathMatch("prefix", "/to")), Redirect(host="new", code=302)),
        RoutePlan("hi", RouteMatch(PathMatch("exact", "/hi")), Respond(418, b"tea")),
    )
    play(
        mesh(routes=routes),
        client_sends(b"GET /to?a HTTP/1.1\r\nHost: old\r\n\r\n"),
        client_gets("HTTP/1.1 302 Found", {"location": "http://new/to?a", "content-length": "0"}),
        client_sends(b"GET /hi HTTP/1.1\r\nHost: old\r\n\r\n"),
        client_gets("HTTP/1.1 418 I'm a Teapot", {"content-length": "3", "content-type": "text/plain"}, b"tea"),
        client_sends(b"HEAD /hi HTTP/1.1\r\nHost: old\r\n\r\n"),
        client_gets("HTTP/1.1 418 I'm a Teapot", {"content-length": "3"}, b""),
        no_connect(),
        client_is(closed=False),
    )


def test_an_edge_believes_nobody() -> None:
    play(
        mesh(http={"use_remote_address": True, "server_name": "istio-envoy"}),
        client_sends(
            b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nX-Request-Id: mine\r\nX-Envoy-Retry-On: 5xx\r\n"
            b"X-Forwarded-Proto: https\r\n\r\n"
        ),
        connects(ADDRESS),
        endpoint_gets(
            "GET / HTTP/1.1",
            {
                "X-Forwarded-For": None,
                "x-forwarded-for": "1.2.3.4,192.0.2.7",
                "X-Request-Id": None,
                "X-Envoy-Retry-On": None,
                "X-Forwarded-Proto": None,
                "x-forwarded-proto": "http",
                "x-envoy-external-address": "192.0.2.7",
            },
        ),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", {"server": "istio-envoy"}, b"ok"),
    )


def test_an_edge_behind_trusted_hops() -> None:
    play(
        mesh(http={"use_remote_address": True, "trusted_hops": 1}),
        client_sends(
            b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9, 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\r\n"
        ),
        connects(ADDRESS),
        endpoint_gets(
            "GET / HTTP/1.1",
            {
                "x-forwarded-for": "9.9.9.9, 1.2.3.4,192.0.2.7",
                "X-Forwarded-Proto": "https",
                "x-envoy-external-address": "1.2.3.4",
            },
        ),
    )


@pytest.mark.parametrize("claimed", [b"1.2.3.4", b"unknown, 1.2.3.4"])
def test_an_edge_believes_no_client_that_came_past_its_trusted_hops(claimed: bytes) -> None:
    play(
        mesh(http={"use_remote_address": True, "trusted_hops": 2}),
        client_sends(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: " + claimed + b"\r\n\r\n"),
        connects(ADDRESS),
        endpoint_gets("GET / HTTP/1.1", {"x-envoy-external-address": "192.0.2.7"}),
    )


def test_paths_are_normalized_when_asked() -> None:
    request = b"GET /a/../b//c HTTP/1.1\r\nHost: a\r\n\r\n"
    play(mesh(), client_sends(request), connects(ADDRESS), endpoint_gets("GET /a/../b//c HTTP/1.1"))
    play(
        mesh(http={"normalize_path": True, "merge_slashes": True}),
        client_sends(request),
        connects(ADDRESS),
        endpoint_gets("GET /b/c HTTP/1.1"),
    )


def test_escaped_slashes_are_kept_unescaped_or_refused() -> None:
    request = b"GET /a%2f..%5Cb HTTP/1.1\r\nHost: a\r\n\r\n"
    for action, path in (("keep", "/a%2f..%5Cb"), ("unescape", "/b")):
        http = {"normalize_path": True, "escaped_slashes": action}
        play(mesh(http=http), client_sends(request), connects(ADDRESS), endpoint_gets(f"GET {path} HTTP/1.1"))
    play(
        mesh(http={"escaped_slashes": "refuse"}),
        client_sends(request),
        client_gets("HTTP/1.1 400 Bad Request", body=b"Bad Request"),
        no_connect(),
        client_is(closed=True),
    )


LONG = bytes(range(256)) * 1200
"""Long enough to pass beside the parser."""


def _slices(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1_000, 30_011, 65_536, 300_000])
def test_a_long_response(size: int) -> None:
    world = World(mesh())
    client = world.client()
    client.receive(GET)
    endpoint = world.accept(ADDRESS)
    for piece in _slices(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LONG) + LONG, size):
        endpoint.receive(piece)
    assert Message.parse(_take(client)).rest == LONG
    client.receive(GET)
    endpoint.receive(OK)
    assert Message.parse(_take(client)).rest == b"ok"


def test_bytes_behind_a_long_response() -> None:
    world = World(mesh())
    client = world.client()
    client.receive(GET)
    endpoint = world.accept(ADDRESS)
    endpoint.receive(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LONG))
    endpoint.receive(LONG[:1000])
    endpoint.receive(LONG[1000:] + OK)
    assert Message.parse(_take(client)).rest == LONG
    assert endpoint.closing


def test_a_long_response_cut_short() -> None:
    world = World(mesh())
    client = world.client()
    client.receive(GET)
    endpoint = world.accept(ADDRESS)
    for piece in _slices(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LONG) + LONG[:-1], 65_536):
        endpoint.receive(piece)
    endpoint.end()
    assert client.closing


@pytest.mark.parametrize("size", [1_000, 30_011, 65_536, 400_000])
def test_a_long_request_and_one_behind_it(size: int) -> None:
    world = World(mesh())
    client = world.client()
    client.receive(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(LONG))
    endpoint = world.accept(ADDRESS)
    for piece in _slices(LONG + GET, size):
        client.receive(piece)
    assert Message.parse(_take(endpoint)).rest == LONG
    endpoint.receive(OK)
    endpoint_gets("GET / HTTP/1.1")(world, Cut())
    endpoint.receive(OK)
    assert _take(client).count(b"HTTP/1.1 200 OK") == 2


def test_a_nominated_header_is_dropped_although_others_are_repeated() -> None:
    play(
        mesh(),
        client_sends(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Secret\r\nX-Secret: 1\r\nX-A: 1\r\nX-A: 2\r\n\r\n"),
        connects(ADDRESS),
        endpoint_gets("GET / HTTP/1.1", {"X-Secret": None}),
    )


def test_headers_nominated_in_repeated_connection_lines_of_a_response_are_dropped() -> None:
    play(
        mesh(),
        client_sends(GET),
        connects(ADDRESS),
        endpoint_sends(b"HTTP/1.1 200 OK\r\nConnection: X-Own\r\nConnection: keep-alive\r\nX-Own: 1\r\n"),
        endpoint_sends(b"Content-Length: 0\r\n\r\n"),
        client_gets("HTTP/1.1 200 OK", {"X-Own": None}),
    )


def test_a_request_is_answered_although_its_endpoint_went_after_an_informational_response() -> None:
    play(
        mesh(forward={"timeout": 1.0}),
        client_sends(GET),
        connects(ADDRESS),
        endpoint_sends(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"),
        client_gets_bytes(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"),
        endpoint_closes(),
        client_gets("HTTP/1.1 503 Service Unavailable", {"content-type": "text/plain"}, None),
    )
