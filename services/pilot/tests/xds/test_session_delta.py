"""Delta: what each kind of request is answered with."""

import pytest

from mizzen.pilot.xds.rules import Verdict


def test_a_first_request_is_answered_and_its_ack_is_not(delta) -> None:
    delta.world.set(cds="a1 b1")
    assert delta.delta("cds") == ["cds a1 b1"]
    assert delta.verdict is Verdict.FIRST
    assert delta.ack("cds") == []
    assert delta.verdict is Verdict.ACK
    assert delta.status("cds") == "SYNCED"


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        ({"has": "a1 b1"}, "cds"),
        ({"has": "a0 b1"}, "cds a1"),
        ({"has": "a1 gone1"}, "cds b1"),
        ({"add": "*", "has": "a1 b0"}, "cds b1"),
        ({"add": "a"}, "cds a1"),
        ({"add": "a missing"}, "cds a1 -missing"),
        ({"add": "a", "has": "b1 c1", "drop": "c"}, "cds a1"),
    ],
)
def test_a_reconnecting_client_gets_what_differs(delta, ask: dict[str, str], answer: str) -> None:
    delta.world.set(cds="a1 b1")
    assert delta.delta("cds", **ask) == [answer]
    assert delta.verdict is Verdict.FIRST
    assert delta.ack("cds") == []


def test_endpoints_and_routes_have_no_implicit_wildcard(delta) -> None:
    delta.world.set(eds="a1")
    assert delta.delta("eds") == ["eds"]
    assert delta.delta("eds", "*") == ["eds a1"]


def test_changes_of_the_subscription(delta) -> None:
    delta.world.set(rds="q1 r1 s1")
    assert delta.delta("rds", "q") == ["rds q1"]
    delta.ack("rds")
    assert delta.delta("rds", "r missing") == ["rds r1 -missing"]
    assert delta.verdict is Verdict.CHANGED
    delta.ack("rds")
    assert delta.delta("rds", drop="q") == []
    assert delta.delta("rds", "r") == ["rds r1"], "asking again is a wish to get it again"
    delta.world.set(rds="q2 r2 s2")
    assert delta.push("rds") == ["rds r2"]


def test_a_secret_that_there_is_not_is_not_waited_for(delta) -> None:
    """A listener that names two would wait for both, though only one is missing."""
    delta.world.set(sds="a1! b1")
    assert delta.delta("sds", "a b") == ["sds b1 -a"]
    delta.ack("sds")
    delta.world.set(sds="a2 b1")
    assert delta.push("sds") == ["sds a2"]
    delta.ack("sds")
    delta.world.set(sds="a3! b1")
    assert delta.push("sds") == [], "what is held stays"
    assert delta.delta("sds", "a") == ["sds a2"]


def test_all_names_dropped_is_silent_also_at_the_late_ack(delta) -> None:
    delta.world.set(eds="a1")
    delta.delta("eds", "a")
    assert delta.delta("eds", drop="a") == []
    assert delta.ack("eds") == []
    delta.world.set(eds="a2")
    assert delta.push("eds") == []
    assert delta.delta("eds", "a") == ["eds a2"]


def test_the_wildcard_can_be_left_and_entered(delta) -> None:
    delta.world.set(cds="a1 b1")
    delta.delta("cds")
    assert delta.delta("cds", "a", "*") == ["cds a1"]
    delta.world.set(cds="a1 b2")
    assert delta.push("cds") == []
    assert delta.delta("cds", "*") == ["cds b2"]


def test_an_outdated_nonce_is_no_ack_but_its_names_count(delta) -> None:
    delta.world.set(eds="a1 b1")
    delta.delta("eds", "a")
    old = delta.nonces["eds"]
    delta.world.set(eds="a2 b1")
    delta.push("eds")
    assert delta.delta("eds", nonce=old) == []
    assert delta.verdict is Verdict.STALE
    assert delta.status("eds") == "STALE"
    assert delta.delta("eds", "b", nonce=old) == ["eds b1"]


def test_a_nack_is_retried_with_the_next_push_and_only_that_resource(delta) -> None:
    delta.world.set(lds="l1 m1")
    delta.delta("lds")
    delta.ack("lds")
    delta.world.set(lds="l2 m1")
    assert delta.push("lds") == ["lds l2"]
    assert delta.nack("lds", "port taken") == []
    assert delta.status("lds") == "ERROR"
    assert delta.push("lds") == ["lds l2"]
    delta.ack("lds")
    assert delta.push("lds") == []


def test_an_ack_that_follows_a_nack_ends_the_error_without_a_push(delta) -> None:
    delta.world.set(lds="l1 m1")
    delta.delta("lds")
    delta.nack("lds", "l: port taken")
    delta.ack("lds")
    assert delta.status("lds") == "SYNCED"
    assert delta.push("lds") == []


def test_a_changed_cluster_brings_its_endpoints_along(started_delta) -> None:
    script = started_delta
    script.world.set(cds="a2 b1", eds="a1 b1", lds="l1", rds="r1")
    assert script.push() == ["cds a2", "eds a1"]


def test_a_listener_is_replaced_in_one_response(started_delta) -> None:
    script = started_delta
    script.world.set(cds="a1 b1", eds="a1 b1", lds="k1", rds="r1")
    assert script.push() == ["lds k1 -l"]
