"""What a listener counts while its plan changes under open connections."""

from dataclasses import replace

from playbook import World, mesh

from mizzen.proxy.engine.plan import HttpPlan, ListenerPlan, TcpPlan, WeightedCluster

GAUGES = ("downstream_cx_active", "downstream_cx_http1_active")


def test_a_connection_is_counted_where_it_was_opened() -> None:
    plans = mesh()
    world = World(plans)
    client = world.client()
    listener = plans[0]
    assert isinstance(listener, ListenerPlan)
    assert isinstance(listener.handler, HttpPlan)
    world.apply(replace(listener, handler=replace(listener.handler, stat_prefix="renamed")))
    client.end()
    world.apply(replace(listener, handler=TcpPlan("tcp", (WeightedCluster("reviews"),))))
    other = world.client("other")
    world.apply(listener)
    world.accept("10.0.0.1:80")
    other.abort()
    world.loop.run()
    stats = world.runtime.stats(1)
    for prefix in ("http", "renamed"):
        assert [stats.gauges["http", prefix, gauge] for gauge in GAUGES] == [0, 0]
    assert stats.counters["http", "http", "downstream_cx_destroy"] == 1
    assert stats.gauges["listener", "listener", "downstream_cx_active"] == 0
