"""The ADS client by its conversations: what it asks, what it gives to workers, what it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from envoy.config.core.v3 import base_pb2

from mizzen.proxy.engine.plan import Plan
from mizzen.proxy.snapshot import compiler
from mizzen.proxy.snapshot.ads_session import AdsSession
from mizzen.proxy.snapshot.result import Rejected
from mizzen.proxy.snapshot.store import TYPE_URLS

Make = dict[str, Callable[..., Any]]


class Conversation:
    """A session, and workers that take everything but the listeners in `taken`."""

    def __init__(self) -> None:
        self.session = AdsSession(base_pb2.Node(id="sidecar~127.1.0.1~a.b~c"))
        self.taken: set[str] = set()
        self.passing = True
        self.now = 1000.0
        self.plans: list[str] = []

    def hear(self, response: Any) -> list[Any]:
        """Everything the client sends because of a response."""
        self.session.receive(response)
        return self.deliver()

    def deliver(self) -> list[Any]:
        delivery = self.session.take()
        if delivery is not None:
            self.plans += [_name(plan) for plan in delivery.plans]
            self.plans += [f"-{name}" for _, name in delivery.removed]
            refused = [plan.name for plan in delivery.plans if plan.name in self.taken]
            self.session.delivered(
                delivery, tuple(Rejected(f"Listener {name}", "", "in use", self.passing) for name in refused), self.now
            )
        return self.session.requests()


def _name(plan: Plan) -> str:
    return plan.name


@pytest.fixture
def talk() -> Conversation:
    talk = Conversation()
    talk.session.open()
    return talk


def kinds(requests: list[Any]) -> list[tuple[str, str, str]]:
    """(type, nonce answered, names subscribed) of each request."""
    return [
        (request.type_url.rpartition(".")[2], request.response_nonce, ",".join(request.resource_names_subscribe))
        for request in requests
    ]


def test_a_stream_begins_with_wildcards_and_says_who_asks() -> None:
    requests = AdsSession(base_pb2.Node(id="me")).open()
    assert kinds(requests) == [("Cluster", "", ""), ("Listener", "", "")]
    assert [request.node.id for request in requests] == ["me", ""]


def test_a_cluster_is_acknowledged_and_its_endpoints_are_asked_for(talk: Conversation, make: Make) -> None:
    requests = talk.hear(make["response"]("1", make["cluster"]("a"), make["cluster"]("b")))
    assert kinds(requests) == [("Cluster", "1", ""), ("ClusterLoadAssignment", "", "a,b")]
    assert talk.plans == ["a", "b"]


def test_a_listener_waits_for_its_routes_and_they_for_endpoints_and_so_do_the_acks(
    talk: Conversation, make: Make
) -> None:
    talk.hear(make["response"]("1", make["cluster"]("new")))
    assert kinds(talk.hear(make["response"]("2", make["listener"]("l")))) == [("RouteConfiguration", "", "routes")]
    assert talk.hear(make["response"]("3", make["routes"]("routes", "new"))) == []
    assert not talk.session.ready
    answered = talk.hear(make["response"]("4", make["endpoints"]("new", 80)))
    assert kinds(answered) == [
        ("Listener", "2", ""),
        ("RouteConfiguration", "3", ""),
        ("ClusterLoadAssignment", "4", ""),
    ]
    assert talk.plans == ["new", "new", "routes", "l"]
    assert talk.session.ready


def test_a_route_to_a_cluster_that_nobody_sends_holds_nothing_up(talk: Conversation, make: Make) -> None:
    talk.hear(make["response"]("1", make["listener"]("l")))
    answered = talk.hear(make["response"]("2", make["routes"]("routes", "unknown")))
    assert kinds(answered) == [("Listener", "1", ""), ("RouteConfiguration", "2", "")]


def test_a_bad_resource_is_named_and_takes_no_other_with_it(talk: Conversation, make: Make) -> None:
    talk.hear(make["response"]("1", make["cluster"]("a"), make["cluster"]("b")))
    talk.plans.clear()
    bad = make["cluster"]("a", transport_socket={"name": "envoy.transport_sockets.tls"})
    (nack,) = talk.hear(make["response"]("2", bad, make["cluster"]("b", connect_timeout="3s")))
    assert nack.response_nonce == "2"
    assert nack.error_detail.message == "Cluster a: transport_socket: envoy.transport_sockets.tls is not supported"
    assert talk.plans == ["b"]
    assert talk.session.store.versions("cluster") == {"a": "1", "b": "2"}


def test_a_resource_that_a_compiler_stumbles_over_takes_no_other_with_it(
    talk: Conversation, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_cluster = compiler._COMPILERS["Cluster"]

    def stumble(message: Any, notes: Any) -> Plan:
        if message.name == "bad":
            raise KeyError("unforeseen")
        return compile_cluster(message, notes)

    monkeypatch.setitem(compiler._COMPILERS, "Cluster", stumble)
    nack, _ = talk.hear(make["response"]("1", make["cluster"]("bad"), make["cluster"]("good")))
    assert nack.error_detail.message == "Cluster bad: a fault of this proxy: KeyError: 'unforeseen'"
    assert talk.plans == ["good"]


def test_a_port_that_does_not_exist_is_rejected(talk: Conversation, make: Make) -> None:
    talk.hear(make["response"]("1", make["cluster"]("a")))
    (nack,) = talk.hear(make["response"]("2", make["endpoints"]("a", 65536)))
    path = "endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value"
    assert nack.error_detail.message == f"ClusterLoadAssignment a: {path}: must be at most 65535, not 65536"


def test_a_listener_whose_address_is_taken_is_named_and_tried_again(talk: Conversation, make: Make) -> None:
    talk.taken = {"l"}
    talk.hear(make["response"]("1", make["listener"]("l")))
    (nack, _) = talk.hear(make["response"]("2", make["routes"]("routes", "a")))
    assert nack.response_nonce == "1"
    assert nack.error_detail.message == "Listener l: in use"
    talk.taken = set()
    talk.plans.clear()
    assert talk.session.retry(talk.now)
    (ack,) = talk.deliver()
    assert kinds([ack]) == [("Listener", "1", "")]
    assert not ack.HasField("error_detail")
    assert talk.plans == ["l"]
    assert not talk.session.retry(talk.now)
    assert talk.deliver() == []


def test_when_a_taken_address_becomes_free_the_other_errors_stay(talk: Conversation, make: Make) -> None:
    talk.taken = {"l", "m"}
    talk.hear(make["response"]("1", make["listener"]("l"), make["listener"]("m"), make["listener"]("bad", port=0)))
    talk.hear(make["response"]("2", make["routes"]("routes", "a")))
    bad = "Listener bad: address.socket_address.port_value: is missing"
    talk.taken = {"m"}
    assert talk.session.retry(talk.now)
    (nack,) = talk.deliver()
    assert (nack.response_nonce, nack.error_detail.message) == ("1", f"Listener m: in use; {bad}")
    talk.taken = set()
    talk.hear(make["response"]("3", removed=("bad",), kind=TYPE_URLS["listener"]))
    assert talk.session.retry(talk.now)
    (ack,) = talk.deliver()
    assert (ack.response_nonce, ack.HasField("error_detail")) == ("3", False)


def test_what_the_workers_cannot_take_is_tried_less_and_less_often(talk: Conversation, make: Make) -> None:
    talk.taken, talk.passing = {"l"}, False
    talk.hear(make["response"]("1", make["listener"]("l")))
    talk.hear(make["response"]("2", make["routes"]("routes", "a")))
    tried = []
    for _ in range(10_000):
        talk.now += 1.0
        if talk.session.retry(talk.now):
            talk.deliver()
            tried.append(talk.now - 1000.0)
    assert tried == [10.0, 30.0, 70.0, 150.0, 310.0, 630.0, 1270.0, 2550.0, 5110.0, 8710.0]
    talk.taken = set()
    talk.plans.clear()
    talk.hear(make["response"]("3", make["listener"]("l")))
    assert talk.plans == ["l"], "a new version has a new chance"


def test_a_new_stream_does_not_claim_what_was_refused(talk: Conversation, make: Make) -> None:
    talk.taken = {"l"}
    talk.hear(make["response"]("1", make["listener"]("l"), make["listener"]("m")))
    talk.hear(make["response"]("2", make["routes"]("routes", "a")))
    assert dict(talk.session.open()[1].initial_resource_versions) == {"m": "1"}
    talk.taken = set()
    assert talk.session.retry(talk.now)
    assert talk.deliver() == [], "the nonce of another stream"


def test_what_is_removed_leaves_with_all_that_only_it_used(talk: Conversation, make: Make) -> None:
    talk.hear(make["response"]("1", make["cluster"]("a")))
    talk.hear(make["response"]("2", make["endpoints"]("a", 80)))
    requests = talk.hear(make["response"]("3", removed=("a",), kind=TYPE_URLS["cluster"]))
    assert talk.plans[-2:] == ["-a", "-a"]
    assert [list(request.resource_names_unsubscribe) for request in requests] == [[], ["a"]]


def test_a_new_stream_says_what_is_already_here(talk: Conversation, make: Make) -> None:
    talk.hear(make["response"]("1", make["cluster"]("a")))
    talk.hear(make["response"]("2", make["endpoints"]("a", 80)))
    requests = talk.session.open()
    assert kinds(requests) == [("Cluster", "", ""), ("ClusterLoadAssignment", "", "a"), ("Listener", "", "")]
    assert dict(requests[0].initial_resource_versions) == {"a": "1"}
    assert dict(requests[1].initial_resource_versions) == {"a": "2"}


def test_what_has_no_effect_is_counted_with_the_object_that_asked_for_it(talk: Conversation, make: Make) -> None:
    metadata = {
        "filter_metadata": {
            "istio": {"config": "/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews"}
        }
    }
    route = {"match": {"prefix": "/"}, "route": {"cluster": "x", "request_mirror_policies": [{"cluster": "y"}]}}
    talk.hear(make["response"]("1", make["listener"]("l")))
    talk.hear(make["response"]("2", make["routes"]("routes", "x", **route, metadata=metadata)))
    assert talk.session.store.unsupported() == {
        ("envoy.config.route.v3.RouteAction.request_mirror_policies", "VirtualService default/reviews"): 1
    }


def test_routes_do_not_wait_for_endpoints_that_were_rejected_or_do_not_exist(talk: Conversation, make: Make) -> None:
    talk.hear(make["response"]("1", make["cluster"]("bad"), make["cluster"]("none")))
    talk.hear(make["response"]("2", make["listener"]("l")))
    table = make["routes"]("routes", "bad")
    table.virtual_hosts[0].routes.add(match={"prefix": "/n"}, route={"cluster": "none"})
    assert talk.hear(make["response"]("3", table)) == []
    (nack,) = talk.hear(make["response"]("4", make["endpoints"]("bad", 0)))
    assert nack.error_detail.message.startswith("ClusterLoadAssignment bad")
    answers = talk.hear(make["response"]("5", removed=("none",), kind=TYPE_URLS["endpoint_set"]))
    assert [answer.response_nonce for answer in answers] == ["2", "3", "5"]
    assert talk.plans[-2:] == ["routes", "l"]


def test_an_answer_does_not_wait_for_a_version_that_a_newer_one_replaced(talk: Conversation, make: Make) -> None:
    talk.hear(make["response"]("1", make["cluster"]("a"), make["cluster"]("b")))
    talk.hear(make["response"]("2", make["listener"]("l")))
    assert talk.hear(make["response"]("3", make["routes"]("routes", "a"))) == []
    assert kinds(talk.hear(make["response"]("4", make["routes"]("routes", "b")))) == [("RouteConfiguration", "3", "")]


def test_an_answer_does_not_wait_for_routes_that_nothing_refers_to(talk: Conversation, make: Make) -> None:
    talk.hear(make["response"]("1", make["cluster"]("a")))
    talk.hear(make["response"]("2", make["listener"]("l")))
    assert talk.hear(make["response"]("3", make["routes"]("routes", "a"))) == []
    answers = talk.hear(make["response"]("4", removed=("l",), kind=TYPE_URLS["listener"]))
    assert [answer.response_nonce for answer in answers if answer.response_nonce] == ["2", "3", "4"]


def test_an_operator_that_is_not_evaluated_costs_its_header_alone(talk: Conversation, make: Make) -> None:
    header = {"header": {"key": "x-san", "value": "%DOWNSTREAM_NOPE%"}}
    talk.hear(make["response"]("1", make["listener"]("l")))
    (_, answer) = talk.hear(make["response"]("2", make["routes"]("routes", "x", request_headers_to_add=[header])))
    assert not answer.HasField("error_detail")
    assert [item.field for item in talk.session.store.unsupported()] == [
        "envoy.config.core.v3.HeaderValueOption.header.value[%DOWNSTREAM_NOPE%]"
    ]


def test_what_was_not_delivered_stays_due(talk: Conversation, make: Make) -> None:
    talk.hear(make["response"]("1", make["cluster"]("a"), make["cluster"]("b")))
    talk.session.receive(make["response"]("2", make["cluster"]("c"), removed=("a", "b")))
    lost = talk.session.take()
    assert lost is not None
    assert talk.session.take() == lost
    talk.session.receive(make["response"]("3", make["cluster"]("b")))
    assert talk.session.retry(talk.now)
    talk.plans.clear()
    talk.deliver()
    assert talk.plans == ["c", "b", "-a"], "b came back before its removal was delivered"
    assert not talk.session.retry(talk.now)
