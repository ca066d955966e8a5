"""State of the world: what each kind of request is answered with."""

from mizzen.pilot.xds.rules import Verdict


def test_a_first_request_is_answered_and_its_ack_is_not(sotw) -> None:
    sotw.world.set(cds="a1 b1")
    assert sotw.sotw("cds") == ["cds a1 b1"]
    assert sotw.verdict is Verdict.FIRST
    assert sotw.status("cds") == "STALE"
    assert sotw.sotw("cds") == []
    assert sotw.verdict is Verdict.ACK
    assert sotw.status("cds") == "SYNCED"


def test_a_request_for_nothing_that_exists_is_answered_too(sotw) -> None:
    sotw.world.set(rds="")
    assert sotw.sotw("rds", "8080") == ["rds"]


def test_a_nonce_of_another_stream_is_a_reconnect(sotw) -> None:
    sotw.world.set(lds="l1")
    assert sotw.sotw("lds", nonce="from/elsewhere") == ["lds l1"]
    assert sotw.verdict is Verdict.FIRST


def test_an_outdated_nonce_is_ignored(sotw) -> None:
    sotw.world.set(rds="r1")
    sotw.sotw("rds", "r")
    old = sotw.nonces["rds"]
    sotw.world.set(rds="r2")
    assert sotw.push("rds") == ["rds r2"]
    assert sotw.sotw("rds", "r q", nonce=old) == []
    assert sotw.verdict is Verdict.STALE
    assert sotw.status("rds") == "STALE"


def test_a_request_without_nonce_begins_again(sotw) -> None:
    sotw.world.set(eds="a1 b1")
    assert sotw.sotw("eds", "a", nonce="") == ["eds a1"]
    assert sotw.sotw("eds", "a b", nonce="") == ["eds a1 b1"]
    assert sotw.verdict is Verdict.FIRST


def test_only_added_names_are_answered(sotw) -> None:
    sotw.world.set(eds="a1 b1 c1")
    sotw.sotw("eds", "a b")
    assert sotw.sotw("eds", "a b c") == ["eds c1"]
    assert sotw.sotw("eds", "a c") == []
    assert sotw.sotw("eds", "a b c") == ["eds b1"], "it was dropped in between"


def test_no_names_means_unsubscribed_where_names_are_needed(sotw) -> None:
    sotw.world.set(eds="a1")
    sotw.sotw("eds", "a")
    assert sotw.sotw("eds", "") == []
    assert sotw.verdict is Verdict.UNSUBSCRIBED
    assert sotw.status("eds") == "IGNORED"
    sotw.world.set(eds="a2")
    assert sotw.push("eds") == []
    assert sotw.sotw("eds", "a", nonce="x") == ["eds a2"]


def test_clusters_by_name_end_when_the_names_end(sotw) -> None:
    sotw.world.set(cds="a1 b1")
    assert sotw.sotw("cds", "a") == ["cds a1"]
    assert sotw.sotw("cds", "a b") == ["cds a1 b1"], "a full-state type is always sent whole"
    assert sotw.sotw("cds", "") == []
    assert sotw.verdict is Verdict.UNSUBSCRIBED


def test_the_star_is_a_wildcard_for_every_type(sotw) -> None:
    sotw.world.set(cds="a1 b1", eds="a1 b1")
    assert sotw.sotw("eds", "*") == ["eds a1 b1"]
    assert sotw.sotw("cds", "a") == ["cds a1"]
    assert sotw.sotw("cds", "a *") == ["cds a1 b1"]


def test_a_nack_is_kept_and_answered_by_nothing(sotw) -> None:
    sotw.world.set(lds="l1")
    sotw.sotw("lds")
    assert sotw.nack("lds", "port taken") == []
    assert sotw.verdict is Verdict.NACK
    assert sotw.status("lds") == "ERROR"
    assert sotw.push("lds") == ["lds l1"], "retried with the next push although it is the same"
    assert sotw.ack("lds") == []
    assert sotw.status("lds") == "SYNCED"
    assert sotw.push("lds") == []


def test_names_that_come_with_a_nack_are_not_lost(sotw) -> None:
    sotw.world.set(rds="r1 q1")
    sotw.sotw("rds", "r")
    assert sotw.sotw("rds", "r q", error="r is bad") == ["rds q1"]
    assert sotw.verdict is Verdict.NACK


def test_a_nack_before_anything_was_sent_is_harmless(sotw) -> None:
    assert sotw.sotw("lds", error="what?") == []
    assert sotw.verdict is Verdict.NACK


def test_endpoints_are_answered_again_after_their_clusters_changed(started_sotw) -> None:
    script = started_sotw
    script.world.set(cds="a2 b1", eds="a1 b1", lds="l1", rds="r1")
    assert script.push() == ["cds a2 b1"]
    script.ack("cds")
    assert script.sotw("eds") == ["eds a1"], "Envoy warms a again and waits"
    assert script.sotw("eds") == []


def test_unserved_types_are_ignored(sotw) -> None:
    assert sotw.sotw("type.googleapis.com/istio.networking.nds.v1.NameTable") == []
    assert sotw.verdict is Verdict.IGNORED
