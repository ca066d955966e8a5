from playbook import (
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
