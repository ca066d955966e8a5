"""A client that comes back from another stream: what it holds and is no more goes after the new routes."""

from typing import Any

import pytest


@pytest.fixture
def returned_delta(delta: Any) -> Any:
    """Cluster a was replaced by b while the client was away; it has asked for clusters and endpoints."""
    delta.world.set(cds="b1", eds="a0 b1", lds="l2", rds="r2")
    assert delta.delta("cds", has="a1") == ["cds b1"]
    assert delta.delta("eds", "a", has="a1") == ["eds"], "the endpoints of a stay as they are"
    return delta


def test_delta_a_cluster_goes_after_listeners_and_routes(returned_delta: Any) -> None:
    client = returned_delta
    assert client.delta("lds", has="l1") == []
    assert client.delta("rds", "r", has="r1") == []
    assert client.delta("eds", "b") == ["eds b1"]
    assert client.ack("eds") == []
    assert client.ack("cds") == ["lds l2", "rds r2"]
    assert client.ack("lds") == []
    assert client.ack("rds") == ["cds -a"]


def test_delta_a_client_without_listeners_loses_it_after_a_while(returned_delta: Any) -> None:
    client = returned_delta
    assert client.ack("cds") == client.ack("eds") == []
    assert client.wait(4.9) == []
    assert client.wait(0.2) == ["cds -a"]
    assert client.session.due() is None


@pytest.fixture
def returned(sotw: Any) -> Any:
    """The same with state of the world, where only the request for endpoints tells that a is held."""
    sotw.world.set(cds="b1", eds="a0 b1", lds="l2", rds="r2")
    assert sotw.sotw("cds", version="7") == []
    assert sotw.sotw("eds", "a", version="7") == ["cds b1 a~", "eds"]
    return sotw


def test_sotw_the_request_for_endpoints_stands_for_the_ack_of_clusters(returned: Any) -> None:
    client = returned
    assert client.sotw("lds") == []
    assert client.sotw("rds", "r") == []
    assert client.session.due() is not None
    # Envoy holds back its ACK for clusters while the stand-in warms.
    assert client.sotw("eds", "a b") == ["eds b1"]
    assert client.ack("eds") == ["lds l2", "rds r2"]
    client.ack("lds")
    assert client.ack("rds") == ["cds b1"]
    assert client.ack("cds") == []
    assert client.sotw("eds", "b") == []
    assert client.push() == []
    assert client.session.converged


def test_sotw_a_push_keeps_the_stand_in(returned: Any) -> None:
    client = returned
    client.world.set(cds="b2", eds="a0 b1", lds="l2", rds="r2")
    assert client.push() == ["cds b2 a~"]


def test_sotw_without_endpoints_there_is_nothing_to_stand_in_for(sotw: Any) -> None:
    sotw.world.set(cds="b1", lds="l2")
    assert sotw.sotw("cds", version="7") == []
    assert sotw.sotw("lds", version="7") == ["cds b1"]
    assert sotw.ack("cds") == ["lds l2"]


def test_sotw_a_client_that_asks_for_nothing_else_is_answered_after_a_while(sotw: Any) -> None:
    sotw.world.set(cds="b1")
    assert sotw.sotw("cds", version="7") == []
    assert sotw.wait(4.9) == []
    assert sotw.wait(0.2) == ["cds b1"]


def test_sotw_a_new_client_is_answered_at_once(sotw: Any) -> None:
    sotw.world.set(cds="b1")
    assert sotw.sotw("cds") == ["cds b1"]
