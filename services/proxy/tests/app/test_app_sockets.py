"""Binding, passing on and closing of listening sockets."""

from __future__ import annotations

import socket
from dataclasses import replace
from types import SimpleNamespace

import pytest

from mizzen.proxy.app.sockets import ListeningSockets
from mizzen.proxy.engine.plan import ListenerPlan


def connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture
def plan(app: SimpleNamespace) -> ListenerPlan:
    made: ListenerPlan = app.listener(app.unused_port())
    return made


def test_connections_queue_as_soon_as_it_is_bound(plan: ListenerPlan) -> None:
    sockets = ListeningSockets()
    binding, rejected = sockets.bind([plan], [])
    assert (binding.fresh, rejected) == (("web",), ())
    binding.commit()
    assert connects(plan.port)
    again, _ = sockets.bind([plan], [])
    assert again.fresh == ()
    assert again.sockets.keys() == {"web"}
    sockets.close()
    assert not connects(plan.port)


def test_what_is_taken_back_is_closed(plan: ListenerPlan) -> None:
    binding, _ = ListeningSockets().bind([plan], [])
    assert connects(plan.port)
    binding.take_back()
    assert not connects(plan.port)


def test_a_taken_port_rejects_one_listener_only(plan: ListenerPlan, app: SimpleNamespace) -> None:
    sockets = ListeningSockets()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = app.listener(other.getsockname()[1], "taken")
        binding, rejected = sockets.bind([taken, plan], [])
    assert [str(problem) for problem in rejected] == [f"Listener taken: address 127.0.0.1:{taken.port} is in use"]
    assert binding.fresh == ("web",)
    binding.take_back()


def test_an_address_of_another_machine_is_named() -> None:
    plan = ListenerPlan("far", "192.0.2.1", 9080, "inbound", SimpleNamespace())  # type: ignore[arg-type]
    _, rejected = ListeningSockets().bind([plan], [])
    assert str(rejected[0]) == "Listener far: 192.0.2.1 is not an address of this machine"


def test_a_successor_gets_the_socket_with_its_waiting_connections(plan: ListenerPlan, app: SimpleNamespace) -> None:
    sockets = ListeningSockets()
    first, _ = sockets.bind([plan], [])
    first.commit()
    waiting = socket.create_connection(("127.0.0.1", plan.port), timeout=5)
    second, rejected = sockets.bind([app.listener(plan.port, "successor")], ["web"])
    assert rejected == ()
    second.commit()
    accepted, _ = second.sockets["successor"].accept()
    assert accepted.getpeername() == waiting.getsockname()
    for each in (accepted, waiting):
        each.close()
    sockets.close()
    assert not connects(plan.port)


def test_a_moved_listener_gives_up_its_old_port_when_the_workers_took_it(
    plan: ListenerPlan, app: SimpleNamespace
) -> None:
    sockets = ListeningSockets()
    sockets.bind([plan], [])[0].commit()
    moved = app.listener(app.unused_port())
    binding, _ = sockets.bind([moved], [])
    assert connects(plan.port)
    binding.commit()
    assert not connects(plan.port)
    assert connects(moved.port)
    sockets.close()


def test_a_listener_for_hand_off_has_no_socket(plan: ListenerPlan) -> None:
    sockets = ListeningSockets()
    sockets.bind([plan], [])[0].commit()
    binding, rejected = sockets.bind([replace(plan, bound=False)], [])
    assert (binding.fresh, binding.sockets, rejected) == ((), {}, ())
    assert connects(plan.port)
    binding.commit()
    assert not connects(plan.port)


def test_all_sockets_of_a_listener_come_when_one_changes(plan: ListenerPlan, app: SimpleNamespace) -> None:
    sockets = ListeningSockets()
    sockets.bind([plan], [])[0].commit()
    other = app.unused_port()
    second = replace(plan, more_addresses=(("127.0.0.1", other),))
    binding, _ = sockets.bind([second], [])
    assert binding.fresh == ("web", f"web 127.0.0.1 {other}")
    binding.commit()
    assert connects(plan.port)
    assert connects(other)
    sockets.bind([plan], [])[0].commit()
    assert connects(plan.port)
    assert not connects(other)
    sockets.close()


def test_a_listener_of_which_one_address_is_taken_leaves_nothing_open(plan: ListenerPlan) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        both = replace(plan, more_addresses=(("127.0.0.1", other.getsockname()[1]),))
        binding, rejected = ListeningSockets().bind([both], [])
        binding.commit()
    assert "is in use" in str(rejected[0])
    assert not connects(plan.port)


def test_options_are_set_before_the_address_is_bound() -> None:
    freebind = ((socket.IPPROTO_IP, 15, (1).to_bytes(4, "little")),)
    plan = ListenerPlan("far", "192.0.2.1", 9080, "inbound", SimpleNamespace(), socket_options=freebind)  # type: ignore[arg-type]
    sockets = ListeningSockets()
    binding, rejected = sockets.bind([plan], [])
    assert rejected == ()
    binding.commit()
    sockets.close()


def test_an_ipv6_listener() -> None:
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        port = probe.getsockname()[1]
    plan = ListenerPlan("six", "::1", port, "inbound", SimpleNamespace())  # type: ignore[arg-type]
    sockets = ListeningSockets()
    sockets.bind([plan], [])[0].commit()
    socket.create_connection(("::1", port), timeout=5).close()
    sockets.close()
