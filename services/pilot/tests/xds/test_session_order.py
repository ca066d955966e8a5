"""What both variants have in common: only news, in order, make before break."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mizzen.pilot.generate.typeurls import CLUSTER, ENDPOINT, LISTENER, ROUTE

WORLD = {"cds": "a1 b1", "eds": "a1 b1", "lds": "l1", "rds": "r1"}

TYPES = {"cds": CLUSTER, "eds": ENDPOINT, "lds": LISTENER, "rds": ROUTE}


def kinds(heard: list[str]) -> list[str]:
    return [text.split()[0] for text in heard]


def test_nothing_new_sends_nothing(started) -> None:
    started.world.set(**WORLD)
    assert started.push() == []


def test_endpoints_alone(started) -> None:
    started.world.set(**WORLD | {"eds": "a2 b2"})
    assert started.push("", endpoints="a other") == ["eds a2"]
    assert started.push("", endpoints="other") == []
    assert started.push("eds") == ["eds b2"]


def test_routes_alone_do_not_wait(started) -> None:
    started.world.set(**WORLD | {"rds": "r2"})
    assert started.push() == ["rds r2"]


def test_listeners_and_routes_follow_when_clusters_and_endpoints_are_answered(started) -> None:
    started.world.set(cds="a1 b1 c1", eds="a1 b1 c1", lds="l2", rds="r2")
    assert kinds(started.push()) == ["cds"]
    names = "c" if started.session.delta else "a b c"
    ask = started.delta if started.session.delta else started.sotw
    # Envoy asks for the endpoints of a new cluster before it ACKs the clusters.
    assert ask("eds", names) == ["eds c1"]
    assert started.ack("cds") == []
    assert started.ack("eds") == ["lds l2", "rds r2"]


def test_a_client_that_asks_for_everything_at_once_is_answered_in_order(sotw) -> None:
    sotw.world.set(**WORLD)
    assert sotw.sotw("cds") == ["cds a1 b1"]
    assert sotw.sotw("lds") == []
    assert sotw.sotw("rds", "r") == []
    assert sotw.sotw("eds", "a b") == ["eds a1 b1"]
    assert sotw.ack("cds") == []
    assert sotw.ack("eds") == ["lds l1", "rds r1"]


def test_a_client_that_does_not_ask_for_clusters_is_answered_at_once(delta) -> None:
    delta.world.set(**WORLD)
    assert delta.delta("lds") == ["lds l1"]
    assert delta.delta("rds", "r") == ["rds r1"]


def test_a_client_that_asks_and_then_drops_is_not_answered(delta) -> None:
    delta.world.set(cds="a1", rds="p1 q1 r1")
    assert delta.delta("rds", "p") == ["rds p1"]
    delta.delta("cds")
    assert delta.delta("rds", "q") == []
    assert delta.delta("rds", "r") == []
    assert delta.delta("rds", drop="q") == []
    assert delta.wait(6) == ["rds r1"]


def test_a_client_that_refuses_clusters_still_gets_routes(started) -> None:
    started.world.set(**WORLD | {"cds": "a1 b2", "rds": "r2"})
    started.push()
    if started.session.delta:
        started.ack("eds")
    assert started.nack("cds") == ["rds r2"]


def test_a_silent_client_gets_routes_after_a_while(started) -> None:
    started.world.set(**WORLD | {"cds": "a1 b1 c1", "rds": "r2"})
    assert kinds(started.push()) == ["cds"]
    assert started.wait(4.9) == []
    assert started.wait(0.2) == ["rds r2"]
    assert started.session.due() is None


def test_a_cluster_goes_after_the_routes_that_replaced_it_are_accepted(started) -> None:
    started.world.set(cds="b1", eds="b1", lds="l1", rds="r2")
    assert started.push() == ["rds r2"]
    gone = ["cds -a", "eds -a"] if started.session.delta else ["cds b1"]
    assert started.ack("rds") == gone
    assert started.push() == []


def test_a_cluster_keeps_its_endpoints_until_it_goes(started) -> None:
    # Generation answers the endpoints of an unknown cluster with none, here version 0.
    started.world.set(cds="b1", eds="a0 b2", lds="l1", rds="r2")
    assert started.push() == ["eds b2"]
    assert started.ack("eds") == ["rds r2"]
    assert started.push("", endpoints="a") == []
    assert started.ack("rds") == ["cds -a" if started.session.delta else "cds b1"]


def test_a_cluster_stays_while_the_new_routes_are_refused(started) -> None:
    started.world.set(cds="b1", eds="b1", lds="l1", rds="r2")
    started.push()
    assert started.nack("rds") == []
    started.world.set(cds="b1", eds="b1", lds="l1", rds="r3")
    assert started.push() == ["rds r3"]
    assert kinds(started.ack("rds"))[0] == "cds"


def test_new_and_old_clusters_are_there_together(started) -> None:
    started.world.set(cds="b1 c1", eds="b1 c1", lds="l1", rds="r2")
    assert started.push()[0] == ("cds c1" if started.session.delta else "cds b1 c1 a1")
    assert started.ack("cds") == ["rds r2"]
    assert started.ack("rds")[0] == ("cds -a" if started.session.delta else "cds b1 c1")


def test_a_cluster_that_comes_back_in_time_is_not_taken_away(started) -> None:
    started.world.set(cds="b1", eds="b1", lds="l1", rds="r2")
    started.push()
    started.world.set(cds="a1 b1", eds="a1 b1", lds="l1", rds="r2")
    assert started.push() == []
    assert started.ack("rds") == []


def test_a_type_that_cannot_be_generated_keeps_what_the_client_has(started) -> None:
    started.world.set(**WORLD | {"cds": "a2 b1", "rds": "r2"})
    started.world.broken = {"cds"}
    assert started.push() == ["rds r2"]
    started.ack("rds")
    started.world.broken = set()
    assert started.push()[0].startswith("cds a2")


def test_an_answer_that_cannot_be_generated_comes_with_a_later_push(sotw, delta) -> None:
    for client, ask in ((sotw, sotw.sotw), (delta, delta.delta)):
        client.world.set(**WORLD)
        client.world.broken = {"eds", "rds"}
        assert [ask("eds", "a"), ask("rds", "r")] == [[], []]
        assert client.session.watches[TYPES["rds"]].failures == {"*": "broken"}
        assert client.session.due() is None, "time alone mends nothing"
        assert client.push("lds") == []
        client.world.broken = set()
        assert client.push("", endpoints="other") == ["eds a1"]
        assert client.ack("eds") == ["rds r1"]
        assert client.session.watches[TYPES["rds"]].failures == {}


def test_a_resource_that_cannot_be_generated_keeps_what_the_client_has(started) -> None:
    started.world.set(**WORLD | {"cds": "a2! b2", "eds": "a2! b1", "rds": "r2!"})
    heard = started.push()
    assert heard[0] == ("cds b2" if started.session.delta else "cds b2 a1")
    assert not any("-" in text for text in heard)
    for short in dict.fromkeys(kinds(heard)):
        assert started.ack(short) == []
    assert started.session.watches[TYPES["rds"]].failures == {"r": "broken"}
    started.world.set(**WORLD | {"cds": "a3 b2", "rds": "r3"})
    assert started.push()[0] == ("cds a3" if started.session.delta else "cds a3 b2")


def test_owed_endpoints_that_cannot_be_generated_stay_owed(started_delta) -> None:
    started_delta.world.set(**WORLD | {"cds": "a2 b1"})
    started_delta.world.broken = {"eds"}
    assert started_delta.push() == ["cds a2"]
    started_delta.world.broken = set()
    assert started_delta.push("lds") == ["eds a1"]


def test_a_substitute_is_for_a_client_that_holds_nothing(sotw, delta) -> None:
    for client, ask in ((sotw, sotw.sotw), (delta, delta.delta)):
        client.world.set(rds="q1 r1?")
        assert ask("rds", "q r") == ["rds q1 r1"]
        client.ack("rds")
        client.world.set(rds="q2? r2")
        assert client.push("rds") == ["rds r2"]


def test_a_reconnecting_client_keeps_what_cannot_be_generated(delta) -> None:
    delta.world.set(cds="a2! b2! c1!")
    assert delta.delta("cds", has="a1 b2") == ["cds"], "neither sent nor taken away"
    assert delta.delta("cds", add="a", nonce=delta.nonces["cds"]) == ["cds"]


def test_memory_of_unanswered_responses_is_bounded(started) -> None:
    for version in range(100):
        started.world.set(**WORLD | {"rds": f"r{version % 9}"})
        started.push("rds")
    assert max(len(watch.in_flight) for watch in started.session.watches.values()) <= 16


SETS = st.sets(st.sampled_from("abcd")).map(sorted)
STEPS = st.lists(
    st.tuples(
        SETS,
        st.sampled_from("123"),
        SETS,
        st.sampled_from("123"),
        st.lists(st.sampled_from(["ack", "nack", "late"]), max_size=3),
    ),
    max_size=8,
)


@settings(max_examples=150)
@given(variant=st.booleans(), steps=STEPS)
def test_whatever_happens_a_client_that_accepts_in_the_end_has_what_it_should(make_client, variant, steps) -> None:
    client = make_client(delta=variant)
    for clusters, version, routes, route_version, answers in steps:
        client.world_is(clusters, version, routes, route_version)
        client.hear(client.script.push())
        for answer in answers:
            client.answer(answer)
    client.hear(client.script.push())
    for _ in range(20):
        client.answer("ack")
    assert client.holds["cds"] == client.expected("cds")
    assert client.holds["lds"] == client.expected("lds")
    assert client.script.session.converged
