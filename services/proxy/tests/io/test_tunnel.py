import pytest
from playbook import (
    MemoryTransport,
    World,
    _take,
    after,
    client_closes,
    client_gets_bytes,
    client_is,
    client_sends,
    connects,
    endpoint_closes,
    endpoint_gets_bytes,
    endpoint_is,
    endpoint_sends,
    mesh,
    play,
    refused,
)

ADDRESS = "10.0.0.1:80"
TCP = mesh(tcp=True)


def opens() -> object:
    """A client connects and says nothing."""
    return lambda world, cut: world.client()


def test_bytes_pass_both_ways() -> None:
    world = play(
        TCP,
        opens(),
        connects(ADDRESS),
        client_sends(b"hello"),
        endpoint_gets_bytes(b"hello"),
        endpoint_sends(b"world!"),
        client_gets_bytes(b"world!"),
        client_closes(),
        endpoint_closes(),
        client_is(closed=True),
        endpoint_is(closed=True),
    )
    stats = world.runtime.stats(1).counters
    assert stats["tcp", "tcp", "downstream_cx_rx_bytes_total"] == 5
    assert stats["tcp", "tcp", "downstream_cx_tx_bytes_total"] == 6
    assert world.runtime.listeners["listener"].connections == {}


def test_what_the_client_says_early_waits_for_the_endpoint() -> None:
    world = World(TCP)
    client = world.client()
    client.receive(b"hello")
    assert not client.reading
    endpoint = world.accept(ADDRESS)
    assert _take(endpoint) == b"hello"
    assert client.reading


def test_a_half_close_is_passed_on() -> None:
    world = World(TCP)
    client = world.client()
    client.receive(b"question")
    client.end()
    endpoint = world.accept(ADDRESS)
    assert endpoint.eof
    assert not endpoint.closing
    endpoint.receive(b"answer")
    assert _take(client) == b"answer"
    endpoint.end()
    assert client.closing
    assert endpoint.closing


def test_a_slow_side_pauses_the_other() -> None:
    world = World(TCP)
    client = world.client()
    endpoint = world.accept(ADDRESS)
    endpoint.protocol.pause_writing()
    assert not client.reading
    endpoint.protocol.resume_writing()
    assert client.reading


def test_what_the_client_says_early_may_be_more_than_the_endpoint_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(TCP)
    client = world.client()
    client.receive(b"a lot")
    monkeypatch.setattr(MemoryTransport, "writelines", lambda self, pieces: self.protocol.pause_writing())
    endpoint = world.accept(ADDRESS)
    assert not client.reading
    endpoint.protocol.resume_writing()
    assert client.reading


def test_no_connection_to_the_endpoint() -> None:
    world = play(TCP, opens(), refused(ADDRESS), client_is(closed=True))
    assert world.runtime.clusters["reviews"].state.endpoints[ADDRESS].connect_failures == 1


def test_no_endpoint() -> None:
    play(mesh(tcp=True, endpoints=()), opens(), client_is(closed=True))


def test_a_client_that_does_not_wait() -> None:
    play(
        TCP,
        opens(),
        client_closes(),
        lambda world, cut: world.client().abort(),
        after(0.1),
        connects(ADDRESS),
        endpoint_is(closed=True),
    )


def test_a_quiet_tunnel_is_closed() -> None:
    play(
        TCP,
        opens(),
        connects(ADDRESS),
        after(3000.0),
        client_sends(b"x"),
        after(3599.0),
        client_is(closed=False),
        after(1.1),
        client_is(closed=True),
        endpoint_is(closed=True),
    )


def test_a_connection_counts_as_the_endpoints_load_while_it_is_open() -> None:
    world = World(TCP)
    world.client()
    state = world.runtime.clusters["reviews"].state.endpoints[ADDRESS]
    endpoint = world.accept(ADDRESS)
    assert (state.active_requests, state.total_requests) == (1, 1)
    endpoint.end()
    world.client().end()
    assert (state.active_requests, state.total_requests) == (0, 1)
    stats = world.runtime.stats(1)
    assert stats.counters["cluster", "reviews", "upstream_rq_total"] == 1
    assert stats.gauges["cluster", "reviews", "upstream_rq_active"] == 0


def test_a_peer_that_slowly_takes_what_it_was_sent_is_not_idle() -> None:
    world = World(TCP)
    client = world.client()
    endpoint = world.accept(ADDRESS)
    client.protocol.pause_writing()
    world.loop.advance(3000.0)
    client.protocol.resume_writing()
    world.loop.advance(3000.0)
    assert not endpoint.closing
    world.loop.advance(601.0)
    assert endpoint.closing


def _never_drains(transport: MemoryTransport) -> None:
    """Its peer takes nothing: what was written stays, so a graceful close does not come to its end."""
    transport.close = lambda: setattr(transport, "closing", True)  # type: ignore[method-assign]
    transport.abort = lambda: MemoryTransport._lose(transport)  # type: ignore[method-assign]


@pytest.mark.parametrize("leaves_first", ["client", "endpoint"])
def test_what_a_peer_never_takes_is_given_up(leaves_first: str) -> None:
    world = World(TCP)
    sides = {"client": world.client(), "endpoint": world.accept(ADDRESS)}
    gone = sides.pop(leaves_first)
    (stuck,) = sides.values()
    _never_drains(stuck)
    gone.abort()
    world.loop.run()
    assert (stuck.closing, stuck.lost) == (True, False)
    world.loop.advance(3601.0)
    assert stuck.lost
    assert not world.runtime.listeners["listener"].connections


def test_a_drain_that_is_over_cuts_what_is_still_being_written() -> None:
    world = World(TCP)
    client, endpoint = world.client(), world.accept(ADDRESS)
    _never_drains(endpoint)
    client.abort()
    world.loop.run()
    world.runtime.listeners["listener"].abort()
    world.loop.run()
    assert endpoint.lost


@pytest.mark.parametrize("first", ["client", "endpoint"])
def test_either_side_may_half_close_first(first: str) -> None:
    world = World(TCP)
    sides = {"client": world.client(), "endpoint": world.accept(ADDRESS)}
    one = sides.pop(first)
    (other,) = sides.values()
    one.end()
    assert (other.eof, other.closing, one.closing) == (True, False, False)
    one.protocol.eof_received()  # again, as when reading was paused and resumed
    other.receive(b"the rest")
    assert _take(one) == b"the rest"
    other.end()
    assert one.closing
    assert other.closing


def test_a_reset_reaches_the_other_side() -> None:
    world = World(TCP)
    client, endpoint = world.client(), world.accept(ADDRESS)
    endpoint.protocol.connection_lost(ConnectionResetError())
    world.loop.run()
    assert client.lost
