"""Requests and connections about which an authorizer is asked: what waits, what it is told, and what silence means."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from playbook import (
    Cut,
    Step,
    World,
    after,
    applies,
    client_closes,
    client_gets,
    client_gets_bytes,
    client_is,
    client_sends,
    connects,
    endpoint_gets,
    endpoint_gets_bytes,
    endpoint_sends,
    mesh,
    no_connect,
    play,
)

from mizzen.proxy.engine.control import Inquiry, InquiryAnswer
from mizzen.proxy.engine.ext_authz_plan import BodyPlan, ExtAuthzPlan, GrpcCall
from mizzen.proxy.engine.match_plan import MetadataMatch, StringMatch, ValueMatch
from mizzen.proxy.engine.plan import ListenerPlan, Plan, TcpPlan
from mizzen.proxy.engine.rbac_plan import AllOf, Anything, PolicyPlan, RbacPlan, Rule, UrlPath

ADDRESS = "10.0.0.1:80"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
RULE = "ns[shop]-policy[ask]-rule[0]"
TIMEOUT = 2.0


def plan(**fields: Any) -> ExtAuthzPlan:
    asked = MetadataMatch(
        "envoy.filters.http.rbac",
        ("istio_ext_authz_shadow_effective_policy_id",),
        (ValueMatch(StringMatch("prefix", "istio-ext-authz"), False),),
    )
    return ExtAuthzPlan(GrpcCall("authz", TIMEOUT), **{"condition": asked, **fields})


def rules(action: Any, rule: Rule, name: str = RULE, **fields: Any) -> RbacPlan:
    return RbacPlan(action, (PolicyPlan(name, AllOf((rule, Anything()))),), **fields)


ADMIN = UrlPath(StringMatch("prefix", "/admin"))
SHADOW = rules("DENY", ADMIN, f"istio-ext-authz-{RULE}", is_shadow=True, stat_prefix="istio_ext_authz_")
DENY_SECRET = rules("DENY", UrlPath(StringMatch("exact", "/admin/secret")))


def guarded(*more: RbacPlan, **fields: Any) -> tuple[Plan, ...]:
    return mesh(http={"guards": (SHADOW, plan(**fields), *more)})


class Asked:
    """The questions of a world, which a test answers."""

    def __init__(self) -> None:
        self.inquiries: list[Inquiry] = []

    def listens(self) -> Step:
        def step(world: World, cut: Cut) -> None:
            self.inquiries.clear()
            world.runtime.inquiries.post = self.inquiries.append  # type: ignore[assignment]

        return step

    def about(self, path: bytes, body: bytes = b"", *, partial: bool = False) -> Step:
        def step(world: World, cut: Cut) -> None:
            (inquiry,) = self.inquiries
            assert inquiry.request is not None
            assert (inquiry.request.path, inquiry.request.body, inquiry.request.is_partial) == (path, body, partial)

        return step

    def nobody(self) -> Step:
        def step(world: World, cut: Cut) -> None:
            assert self.inquiries == []

        return step

    def answers(self, **answer: Any) -> Step:
        def step(world: World, cut: Cut) -> None:
            (inquiry,) = self.inquiries
            self.inquiries.clear()
            world.runtime.inquiries.answer(InquiryAnswer(inquiry.serial, **answer))
            world.loop.run()

        return step


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: shop\r\nUser: jason\r\n\r\n".encode()


def counters(world: World, scope: str = "http") -> dict[str, int]:
    return {key[2]: n for key, n in world.runtime.stats(1).counters.items() if key[:2] == (scope, scope) and n}


def test_only_what_a_rule_matches_is_asked_about() -> None:
    asked = Asked()
    world = play(
        guarded(),
        asked.listens(),
        client_sends(get("/public")),
        asked.nobody(),
        connects(ADDRESS),
        endpoint_gets("GET /public HTTP/1.1"),
    )
    assert counters(world)["ext_authz.disabled"] == 1


def test_a_request_waits_for_the_answer_and_goes_on_edited() -> None:
    asked = Asked()
    world = play(
        guarded(),
        asked.listens(),
        client_sends(get("/admin?a=b")),
        no_connect(),
        asked.about(b"/admin?a=b"),
        asked.answers(
            allowed=True,
            request_changes=(("replace", "x-user", "j"), ("remove", "user", "")),
            response_changes=(("append", "x-checked", "yes"),),
        ),
        connects(ADDRESS),
        endpoint_gets("GET /admin?a=b HTTP/1.1", {"x-user": "j", "user": None}),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", {"x-checked": "yes"}),
    )
    assert counters(world)["ext_authz.ok"] == 1
    assert len(world.runtime.inquiries) == 0


def test_a_denial_is_the_authorizers_own_answer() -> None:
    asked = Asked()
    world = play(
        guarded(),
        asked.listens(),
        client_sends(get("/admin")),
        asked.answers(status=401, body=b"log in", response_changes=(("replace", "www-authenticate", "Basic"),)),
        client_gets("HTTP/1.1 401 Unauthorized", {"www-authenticate": "Basic"}, b"log in"),
        no_connect(),
        client_is(closed=False),
    )
    assert counters(world)["ext_authz.denied"] == 1


def test_no_verdict_closes_the_door_and_says_why() -> None:
    asked = Asked()
    world = play(
        guarded(status_on_error=503),
        asked.listens(),
        client_sends(get("/admin")),
        asked.answers(failure="connection refused"),
        client_gets(
            "HTTP/1.1 503 Service Unavailable",
            {"x-mesh-reason": "UAEX the authorizer in authz could not be asked: connection refused"},
        ),
        no_connect(),
    )
    assert counters(world)["ext_authz.error"] == 1


def test_no_verdict_opens_it_where_the_provider_fails_open() -> None:
    asked = Asked()
    world = play(
        guarded(fail_open=True),
        asked.listens(),
        client_sends(get("/admin")),
        asked.answers(failure="connection refused"),
        connects(ADDRESS),
        endpoint_gets("GET /admin HTTP/1.1"),
    )
    assert counters(world)["ext_authz.failure_mode_allowed"] == 1


def test_an_agent_that_says_nothing_is_not_waited_for() -> None:
    asked = Asked()
    world = play(
        guarded(),
        asked.listens(),
        client_sends(get("/admin")),
        after(TIMEOUT + 2.0),
        client_gets("HTTP/1.1 403 Forbidden"),
    )
    assert len(world.runtime.inquiries) == 0


def test_too_many_questions_are_refused() -> None:
    def is_full(world: World, cut: Cut) -> None:
        world.runtime.inquiries.max_waiting = 0

    asked = Asked()
    play(
        guarded(),
        asked.listens(),
        is_full,
        client_sends(get("/admin")),
        asked.nobody(),
        client_gets("HTTP/1.1 403 Forbidden"),
    )


def test_who_leaves_while_he_waits_is_forgotten() -> None:
    asked = Asked()
    world = play(
        guarded(),
        asked.listens(),
        client_sends(get("/admin")),
        client_closes(),
        asked.answers(allowed=True),
        no_connect(),
    )
    assert len(world.runtime.inquiries) == 0


def test_policies_decide_after_the_authorizer() -> None:
    asked = Asked()
    world = play(
        guarded(DENY_SECRET),
        asked.listens(),
        client_sends(get("/admin/secret")),
        asked.answers(allowed=True),
        client_gets("HTTP/1.1 403 Forbidden", body=b"RBAC: access denied"),
        no_connect(),
    )
    assert counters(world)[f"rbac.policy.{RULE}.denied"] == 1


POST = b"POST /admin HTTP/1.1\r\nHost: shop\r\nContent-Length: 10\r\n\r\n"


def test_a_body_that_is_asked_for_is_waited_for_and_forwarded() -> None:
    asked = Asked()
    play(
        guarded(body=BodyPlan(100)),
        asked.listens(),
        client_sends(POST),
        asked.nobody(),
        client_sends(b"01234"),
        asked.nobody(),
        client_sends(b"56789"),
        asked.about(b"/admin", b"0123456789"),
        no_connect(),
        asked.answers(allowed=True),
        connects(ADDRESS),
        endpoint_gets("POST /admin HTTP/1.1", body=b"0123456789"),
    )


def test_a_client_that_waits_to_be_told_is_told_to_send_its_body() -> None:
    asked = Asked()
    play(
        guarded(body=BodyPlan(100)),
        asked.listens(),
        client_sends(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")),
        client_gets_bytes(b"HTTP/1.1 100 Continue\r\n\r\n"),
        client_sends(b"0123456789"),
        asked.about(b"/admin", b"0123456789"),
        asked.answers(allowed=True),
        connects(ADDRESS),
        endpoint_gets("POST /admin HTTP/1.1", {"expect": None}, b"0123456789"),
    )


def test_a_long_body_is_shown_in_part() -> None:
    asked = Asked()
    play(
        guarded(body=BodyPlan(4, allow_partial=True)),
        asked.listens(),
        client_sends(POST + b"01234"),
        asked.about(b"/admin", b"0123", partial=True),
        asked.answers(allowed=True),
        connects(ADDRESS),
        client_sends(b"56789"),
        endpoint_gets("POST /admin HTTP/1.1", body=b"0123456789"),
    )


def test_a_long_body_that_may_not_be_cut_is_refused() -> None:
    asked = Asked()
    play(
        guarded(body=BodyPlan(4)),
        asked.listens(),
        client_sends(POST + b"01234"),
        asked.nobody(),
        client_gets("HTTP/1.1 413 Request Entity Too Large", body=b"Payload Too Large"),
        no_connect(),
    )


# -- connections ----------------------------------------------------------------------------------------------------

ASK_ALL = ExtAuthzPlan(GrpcCall("authz", TIMEOUT))


def tcp(*guards: Any) -> tuple[Plan, ...]:
    listener, *rest = mesh(tcp=True)
    assert isinstance(listener, ListenerPlan)
    assert isinstance(listener.handler, TcpPlan)
    return replace(listener, handler=replace(listener.handler, guards=guards)), *rest


def test_a_connection_waits_for_the_answer() -> None:
    asked = Asked()
    world = play(
        tcp(ASK_ALL),
        asked.listens(),
        client_sends(b"hello"),
        no_connect(),
        asked.answers(allowed=True),
        connects(ADDRESS),
        endpoint_gets_bytes(b"hello"),
    )
    assert counters(world, "tcp")["ext_authz.ok"] == 1


def test_a_connection_that_is_not_wanted_is_closed() -> None:
    asked = Asked()
    for answer in ({"status": 403}, {"failure": "nobody there"}):
        play(
            tcp(ASK_ALL),
            asked.listens(),
            client_sends(b"hello"),
            asked.answers(**answer),
            client_is(closed=True),
            no_connect(),
        )


DENY_ALL = rules("DENY", Anything())


def test_an_open_connection_that_a_new_policy_denies_is_closed() -> None:
    world = play(
        tcp(),
        client_sends(b"hello"),
        connects(ADDRESS),
        endpoint_gets_bytes(b"hello"),
        applies(*tcp(rules("DENY", UrlPath(StringMatch("exact", "/"))))),
        client_is(closed=False),
        applies(*tcp(DENY_ALL)),
        client_is(closed=True),
        lambda world, cut: world.loop.run(),
    )
    assert counters(world, "tcp")[f"rbac.policy.{RULE}.denied"] == 1
    assert world.runtime.listeners["listener"].connections == {}


def test_an_open_connection_is_asked_about_when_that_is_new() -> None:
    asked = Asked()
    play(
        tcp(),
        asked.listens(),
        client_sends(b"hello"),
        connects(ADDRESS),
        applies(*tcp(ASK_ALL)),
        client_is(closed=False),
        asked.answers(status=403),
        client_is(closed=True),
    )


def test_a_connection_that_waits_goes_on_when_nobody_is_to_be_asked_any_more() -> None:
    asked = Asked()
    world = play(
        tcp(ASK_ALL),
        asked.listens(),
        client_sends(b"hello"),
        no_connect(),
        applies(*tcp()),
        connects(ADDRESS),
        endpoint_gets_bytes(b"hello"),
    )
    assert len(world.runtime.inquiries) == 0


# -- trials ---------------------------------------------------------------------------------------------------------


def test_what_is_on_trial_has_no_effect_and_is_told(caplog: Any) -> None:
    trial = rules("DENY", ADMIN, is_shadow=True, stat_prefix="istio_dry_run_deny_")
    world = play(
        mesh(http={"guards": (trial,)}),
        client_sends(get("/admin")),
        connects(ADDRESS),
        endpoint_gets("GET /admin HTTP/1.1"),
    )
    assert counters(world)["rbac.istio_dry_run_deny_shadow_denied"] == 1
    assert "rbac.denied" not in counters(world)
    assert f"a client without an identity may not do this: policy {RULE} denies it" in caplog.text
