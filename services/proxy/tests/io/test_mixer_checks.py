"""Checks by Mixer: what a request waits for, what is decided without asking, and what happens when nobody answers."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import pytest
from playbook import (
    Cut,
    Step,
    World,
    after,
    applies,
    client_closes,
    client_gets,
    client_is,
    client_sends,
    connects,
    endpoint_gets,
    endpoint_sends,
    mesh,
    no_connect,
    play,
)

from mizzen.proxy.engine.control import CheckAnswer, Checks, FromWorker, Reports
from mizzen.proxy.engine.match_plan import PathMatch, RouteMatch
from mizzen.proxy.engine.mixer_plan import ApiPattern, ApiPlan, MixerPlan, QuotaRulePlan, ServicePlan, TransportPlan
from mizzen.proxy.engine.plan import Forward, Plan, Respond, RoutePlan, WeightedCluster
from mizzen.proxy.io.mixer import ASK_SECONDS

GET = b"GET /a?b=1 HTTP/1.1\r\nHost: reviews\r\nUser: jason\r\n\r\n"
OTHER = b"GET /a?b=1 HTTP/1.1\r\nHost: reviews\r\nUser: mary\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
ADDRESS = "10.0.0.1:80"
BY_USER = frozenset({"destination.service", ("request.headers", "user")})
CLOSED = TransportPlan(fail_open=False)


def mixed(transport: TransportPlan = CLOSED, *, trusts_peer: bool = False, **service: Any) -> tuple[Plan, ...]:
    """A mesh whose one route is checked."""
    plan = MixerPlan(transport, trusts_peer=trusts_peer)
    return mesh(http={"mixer": plan}, route={"mixer": ServicePlan(**service)})


_POSTED: WeakKeyDictionary[World, list[FromWorker]] = WeakKeyDictionary()


def posted(world: World) -> list[FromWorker]:
    if world not in _POSTED:
        _POSTED[world] = []
        world.runtime.mixer.post = _POSTED[world].append
    return _POSTED[world]


def listens() -> Step:
    """Somebody takes the worker's questions."""
    return lambda world, cut: posted(world).clear()


def asked(world: World) -> list[Any]:
    return [(message, ask) for message in posted(world) if isinstance(message, Checks) for ask in message.asks]


def asks(number: int) -> Step:
    """There were so many questions since the last answer."""

    def step(world: World, cut: Cut) -> None:
        assert len(asked(world)) == number, posted(world)

    return step


def mixer_says(**answer: Any) -> Step:
    """The same answer to all questions."""

    def step(world: World, cut: Cut) -> None:
        serials = [ask[0] for _, ask in asked(world)]
        assert serials, "nothing was asked"
        posted(world).clear()
        world.runtime.mixer.answered([CheckAnswer(serial, **answer) for serial in serials])
        world.loop.run()

    return step


def nobody_waits(world: World) -> None:
    assert world.runtime.mixer.waiting == 0
    assert not world.runtime.mixer._by_key


LASTING: dict[str, Any] = {"references": BY_USER, "valid_for": 60.0, "uses": -1}
FORWARDED: tuple[Step, ...] = (connects(ADDRESS), endpoint_gets("GET /a?b=1 HTTP/1.1", {"Host": "reviews"}))
SERVED: tuple[Step, ...] = (endpoint_sends(OK), client_gets("HTTP/1.1 200 OK"))


def test_a_request_waits_for_its_check() -> None:
    world = play(
        mixed(),
        listens(),
        client_sends(GET),
        no_connect(),
        asks(1),
        mixer_says(**LASTING),
        *FORWARDED,
        *SERVED,
    )
    nobody_waits(world)
    assert world.runtime.mixer.stats.total_check_calls == 1


def test_the_question_says_what_was_asked_for() -> None:
    world = play(mixed(attributes=b"attributes"), listens(), client_sends(GET), asks(1))
    ((message, (_, place, facts)),) = asked(world)
    assert message.contexts[place].attributes == b"attributes"
    _, method, path, authority, scheme, head, forwarded, client, *_ = facts
    assert (method, path, authority, scheme) == (b"GET", b"/a?b=1", b"reviews", b"http")
    assert (b"User: jason" in head.split(b"\r\n"), forwarded, client) == (True, b"", b"192.0.2.7")


def test_a_refusal_names_code_and_message() -> None:
    play(
        mixed(),
        listens(),
        client_sends(GET),
        mixer_says(code=7, message="deny.denier.istio-system:Not allowed", **LASTING),
        client_gets(
            "HTTP/1.1 403 Forbidden",
            {"x-mesh-reason": "UAEX Mixer refuses the request: PERMISSION_DENIED:deny.denier.istio-system:Not allowed"},
            b"PERMISSION_DENIED:deny.denier.istio-system:Not allowed",
        ),
        no_connect(),
        client_is(closed=False),
        client_sends(GET),
        asks(0),
        client_gets("HTTP/1.1 403 Forbidden", None, None),
    )


def test_what_was_decided_is_not_asked_again_until_it_expires() -> None:
    play(
        mixed(),
        listens(),
        client_sends(GET),
        mixer_says(**LASTING),
        *FORWARDED,
        *SERVED,
        client_sends(GET),
        asks(0),
        endpoint_gets("GET /a?b=1 HTTP/1.1"),
        *SERVED,
        client_sends(OTHER),
        asks(1),
        mixer_says(code=7, **LASTING),
        client_gets("HTTP/1.1 403 Forbidden", None, None),
        after(59.0),
        client_sends(OTHER),
        asks(0),
        client_gets("HTTP/1.1 403 Forbidden", None, None),
        after(2.0),
        client_sends(OTHER),
        asks(1),
    )


BOOKS = ApiPlan(
    b"",
    (ApiPattern(b"GET", (b"books", b"*"), b"", "", b"book"), ApiPattern(b"GET", (b"books",), b"", "", b"list")),
    (("query", "k"), ("header", "k"), ("cookie", "k")),
    ("api.operation",),
)


@pytest.mark.parametrize(
    ("reference", "first", "same", "other"),
    [
        ("api.operation", "/books/1", "/books/2", "/books"),
        ("request.api_key", "/a?k=1", "/b?k=1", "/a?k=2"),
        ("request.api_key", "/a", "/b", "/a\r\nK: 1"),
        ("request.api_key", "/a", "/b", "/a\r\nCookie: k=1"),
    ],
)
def test_a_verdict_about_an_api_holds_for_the_same_operation_and_key(
    reference: str, first: str, same: str, other: str
) -> None:
    def gets(path: str) -> Step:
        line, _, more = path.partition("\r\n")
        return client_sends(f"GET {line} HTTP/1.1\r\nHost: reviews\r\n{more and more + chr(13) + chr(10)}\r\n".encode())

    refuses = mixer_says(code=7, references=frozenset({reference}), valid_for=60.0, uses=-1)
    refused = client_gets("HTTP/1.1 403 Forbidden", None, None)
    play(
        mixed(api=BOOKS),
        listens(),
        gets(first),
        refuses,
        refused,
        gets(same),
        asks(0),
        refused,
        gets(other),
        asks(1),
    )


def test_uses_are_counted() -> None:
    play(
        mixed(),
        listens(),
        client_sends(GET),
        mixer_says(code=16, references=BY_USER, valid_for=60.0, uses=1),
        client_gets("HTTP/1.1 401 Unauthorized", None, None),
        client_sends(GET),
        asks(0),
        client_gets("HTTP/1.1 401 Unauthorized", None, None),
        client_sends(GET),
        asks(1),
    )


def test_what_was_decided_outlives_a_new_version_of_the_listener() -> None:
    play(
        mixed(),
        listens(),
        client_sends(GET),
        mixer_says(code=7, **LASTING),
        client_gets("HTTP/1.1 403 Forbidden", None, None),
        applies(*mixed()),
        client_sends(GET),
        asks(0),
        client_gets("HTTP/1.1 403 Forbidden", None, None),
    )


def test_a_disabled_cache_asks_each_time() -> None:
    play(
        mixed(TransportPlan(check_cache=False)),
        listens(),
        client_sends(GET),
        mixer_says(code=7, **LASTING),
        client_gets("HTTP/1.1 403 Forbidden", None, None),
        client_sends(GET),
        asks(1),
    )


def test_identical_requests_ask_once() -> None:
    play(
        mixed(),
        listens(),
        client_sends(GET),
        client_sends(GET, client="second"),
        asks(1),
        mixer_says(code=7, **LASTING),
        client_gets("HTTP/1.1 403 Forbidden", None, None),
        client_gets("HTTP/1.1 403 Forbidden", None, None, client="second"),
    )


def test_who_waited_for_an_answer_to_another_question_asks() -> None:
    world = play(
        mixed(),
        listens(),
        client_sends(GET),
        client_sends(OTHER, client="second"),
        asks(1),
        mixer_says(code=7, **LASTING),
        client_gets("HTTP/1.1 403 Forbidden", None, None),
        asks(1),
        mixer_says(code=16, **LASTING),
        client_gets("HTTP/1.1 401 Unauthorized", None, None, client="second"),
    )
    nobody_waits(world)


@pytest.mark.parametrize(
    ("fail_open", "steps"),
    [
        (True, (*FORWARDED, *SERVED)),
        (False, (client_gets("HTTP/1.1 504 Gateway Timeout", None, b"DEADLINE_EXCEEDED:Mixer was not heard of"),)),
    ],
)
def test_an_agent_that_does_not_answer(fail_open: bool, steps: tuple[Step, ...]) -> None:
    world = play(
        mixed(TransportPlan(fail_open=fail_open)),
        listens(),
        client_sends(GET),
        after(ASK_SECONDS - 0.1),
        no_connect(),
        after(1.0),
        *steps,
    )
    nobody_waits(world)
    assert world.runtime.mixer.failures == 1


def test_no_agent_at_all() -> None:
    body = b"UNAVAILABLE:too many checks are under way"
    play(mixed(), client_sends(GET), client_gets("HTTP/1.1 503 Service Unavailable", None, body))
    play(mixed(TransportPlan()), client_sends(GET), *FORWARDED, *SERVED)


def test_a_client_that_goes_away_while_its_request_waits() -> None:
    world = play(
        mixed(),
        listens(),
        client_sends(GET),
        client_sends(GET, client="second"),
        client_closes(),
        asks(1),
        mixer_says(code=7, **LASTING),
        client_gets("HTTP/1.1 403 Forbidden", None, None, client="second"),
        no_connect(),
    )
    nobody_waits(world)
    assert world.runtime.listeners["listener"].chains[None].http.stats.downstream_rq_active == 0


def test_a_timeout_of_the_route_runs_while_the_request_waits() -> None:
    plan = MixerPlan(CLOSED)
    world = play(
        mesh(http={"mixer": plan}, route={"mixer": ServicePlan()}, forward={"timeout": 2.0}),
        listens(),
        client_sends(GET),
        after(2.5),
        client_gets("HTTP/1.1 504 Gateway Timeout", None, b"upstream request timeout"),
        mixer_says(**LASTING),
        no_connect(),
    )
    nobody_waits(world)


def test_a_body_waits_with_its_request() -> None:
    play(
        mixed(),
        listens(),
        client_sends(b"POST /a HTTP/1.1\r\nHost: reviews\r\nContent-Length: 5\r\n\r\nhello"),
        mixer_says(**LASTING),
        connects(ADDRESS),
        endpoint_gets("POST /a HTTP/1.1", {"Host": "reviews"}, b"hello"),
        *SERVED,
    )


def test_header_operations_and_a_direct_response() -> None:
    play(
        mixed(),
        listens(),
        client_sends(GET),
        mixer_says(
            request_changes=(("replace", "User", "x"), ("append", "tag", "1"), ("remove", "x-request-id", "")),
            response_changes=(("append", "checked", "yes"), ("replace", "content-length", "7")),
            **LASTING,
        ),
        connects(ADDRESS),
        endpoint_gets("GET /a?b=1 HTTP/1.1", {"User": "x", "tag": "1", "x-request-id": None}),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", {"checked": "yes", "Content-Length": "0"}),
        client_sends(OTHER),
        mixer_says(direct_code=418, direct_body="tea", response_changes=(("append", "pot", "yes"),)),
        client_gets("HTTP/1.1 418 I'm a Teapot", {"pot": "yes"}, b"tea"),
        no_connect(),
    )


def test_a_request_with_quotas_always_asks() -> None:
    quotas = (QuotaRulePlan((), (("requestcount", 1),)),)
    play(
        mixed(quotas=quotas),
        listens(),
        client_sends(GET),
        client_sends(GET, client="second"),
        asks(2),
        mixer_says(code=8, message="Quota is exhausted for: requestcount", **LASTING),
        client_gets("HTTP/1.1 429 Too Many Requests", None, b"RESOURCE_EXHAUSTED:Quota is exhausted for: requestcount"),
        client_sends(GET),
        asks(1),
    )


def test_routes_without_checks_and_without_a_service() -> None:
    plain = (*FORWARDED, *SERVED)
    play(mixed(check=False), listens(), client_sends(GET), asks(0), *plain)
    play(mesh(http={"mixer": MixerPlan(CLOSED)}), listens(), client_sends(GET), asks(0), *plain)


def test_the_default_service_is_for_routes_without_one() -> None:
    plan = MixerPlan(CLOSED, services=(("default", ServicePlan(attributes=b"d")),), default_service="default")
    world = play(mesh(http={"mixer": plan}), listens(), client_sends(GET), asks(1))
    assert asked(world)[0][0].contexts[0].attributes == b"d"


def test_a_direct_response_of_the_route_is_checked_too() -> None:
    route = RoutePlan("direct", RouteMatch(PathMatch("prefix", "/")), Respond(200, b"hi"), mixer=ServicePlan())
    play(
        mesh(http={"mixer": MixerPlan(CLOSED)}, routes=(route,)),
        listens(),
        client_sends(GET),
        mixer_says(code=7),
        client_gets("HTTP/1.1 403 Forbidden", None, None),
        client_sends(GET),
        mixer_says(),
        client_gets("HTTP/1.1 200 OK", None, b"hi"),
    )


CLAIM = b"GET /a?b=1 HTTP/1.1\r\nHost: reviews\r\nx-istio-attributes: Zm9yZ2Vk\r\n\r\n"


def test_what_an_untrusted_peer_says_of_itself_is_dropped() -> None:
    world = play(
        mixed(),
        listens(),
        client_sends(CLAIM),
        asks(1),
        mixer_says(),
        connects(ADDRESS),
        endpoint_gets("GET /a?b=1 HTTP/1.1", {"x-istio-attributes": None}),
        client_closes(),
    )
    after(1.0)(world, Cut())
    (report,) = (message for message in posted(world) if isinstance(message, Reports))
    assert report.records[0][1][6] == b""


def test_what_a_trusted_peer_says_takes_part_in_the_decision() -> None:
    other = CLAIM.replace(b"Zm9yZ2Vk", b"b3RoZXI=")
    world = play(
        mixed(trusts_peer=True),
        listens(),
        client_sends(CLAIM),
        asks(1),
        mixer_says(code=7, references=frozenset({"source.uid"}), valid_for=60.0, uses=-1),
        client_gets("HTTP/1.1 403 Forbidden", None, None),
        client_sends(CLAIM),
        asks(0),
        client_gets("HTTP/1.1 403 Forbidden", None, None),
        client_sends(other),
        asks(1),
    )
    assert asked(world)[0][1][2][6] == b"b3RoZXI="


def test_what_is_forwarded_says_filter_and_service() -> None:
    plan = MixerPlan(CLOSED, forward=b"one")
    play(
        mesh(http={"mixer": plan}, route={"mixer": ServicePlan(check=False, forward=b"two")}),
        listens(),
        client_sends(CLAIM),
        connects(ADDRESS),
        endpoint_gets("GET /a?b=1 HTTP/1.1", {"x-istio-attributes": "b25ldHdv"}),
    )


def test_reports_go_out_in_batches() -> None:
    world = play(
        mixed(check=False, attributes=b"s"),
        listens(),
        client_sends(GET),
        *FORWARDED,
        *SERVED,
        client_sends(OTHER),
        endpoint_gets("GET /a?b=1 HTTP/1.1"),
        *SERVED,
        after(0.2),
    )
    (report,) = posted(world)
    assert isinstance(report, Reports)
    assert [context.attributes for context in report.contexts] == [b"s"]
    (first, second) = report.records
    _, request, response, check = first
    assert (request[1], response[0], response[8], check) == (b"GET", 200, ADDRESS, None)
    assert b"User: mary" in second[1][5].split(b"\r\n")


def test_reports_that_nobody_takes_are_counted() -> None:
    world = play(mixed(check=False), client_sends(GET), *FORWARDED, *SERVED, after(0.2))
    assert (world.runtime.mixer.stats.total_report_calls, world.runtime.reports.dropped) == (1, 1)


def test_too_many_waiting_requests() -> None:
    def narrows(world: World, cut: Cut) -> None:
        world.runtime.mixer.max_waiting = 1

    play(
        mixed(),
        listens(),
        narrows,
        client_sends(GET),
        client_sends(GET, client="second"),
        client_gets("HTTP/1.1 503 Service Unavailable", None, None, client="second"),
        asks(1),
    )


def test_destinations_of_one_route_may_be_different_services() -> None:
    one = WeightedCluster("reviews", 1, mixer=ServicePlan(attributes=b"one"))
    forward = Forward((one, WeightedCluster("other", 1, mixer=ServicePlan(attributes=b"two"))))
    route = RoutePlan("split", RouteMatch(PathMatch("prefix", "/")), forward)
    world = play(
        mesh(http={"mixer": MixerPlan(CLOSED)}, routes=(route,)),
        listens(),
        client_sends(GET),
        asks(1),
    )
    assert asked(world)[0][0].contexts[0].attributes == b"one"
    world.runtime.chance = lambda: 0.9
    client_sends(GET, client="second")(world, Cut())
    assert asked(world)[1][0].contexts[0].attributes == b"two"
    mixer_says(code=0)(world, Cut())
    client_gets("HTTP/1.1 503 Service Unavailable", None, None, client="second")(world, Cut())  # no such cluster
