from hypothesis import given
from hypothesis import strategies as st

from mizzen.api.resource import ResourceKey
from mizzen.pilot.push.debounce import Burst, Debounce, Limits
from mizzen.pilot.push.queue import Push, PushQueue

LIMITS = Limits(quiet=0.1, endpoint_quiet=0.02, maximum=10)
ENDPOINTS = frozenset({"EndpointSlice"})
ROUTE = ResourceKey("VirtualService", "default", "reviews")
OTHER = ResourceKey("Gateway", "default", "front")
SLICE = ResourceKey("EndpointSlice", "default", "reviews")


def keys(*names: ResourceKey) -> frozenset[ResourceKey]:
    return frozenset(names)


def test_nothing_is_due_while_nothing_changed() -> None:
    debounce = Debounce(ENDPOINTS, LIMITS)
    debounce.add(frozenset(), 1.0)
    assert debounce.due() is None
    assert debounce.take(100.0) is None


def test_every_change_starts_the_quiet_period_again() -> None:
    debounce = Debounce(ENDPOINTS, LIMITS)
    debounce.add(keys(ROUTE), 1.0)
    debounce.add(keys(OTHER), 1.09)
    assert debounce.take(1.1) is None
    assert debounce.due() == 1.09 + 0.1
    assert debounce.take(1.2) == Burst(keys(ROUTE, OTHER), 1.0)
    assert debounce.due() is None


def test_changes_without_end_are_taken_after_the_maximum() -> None:
    debounce = Debounce(ENDPOINTS, LIMITS)
    for tick in range(200):
        debounce.add(keys(ROUTE), 1 + tick * 0.05)
    assert debounce.due() == 11


def test_endpoints_alone_wait_less_and_config_makes_them_wait() -> None:
    debounce = Debounce(ENDPOINTS, LIMITS)
    debounce.add(keys(SLICE), 1.0)
    assert debounce.due() == 1.02
    debounce.add(keys(ROUTE), 1.01)
    assert debounce.due() == 1.01 + 0.1


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from([ROUTE, OTHER, SLICE])), min_size=1, max_size=40))
def test_no_change_is_lost_and_none_waits_too_long(steps: list[tuple[float, ResourceKey]]) -> None:
    debounce = Debounce(ENDPOINTS, LIMITS)
    now, waiting, taken = 0.0, {}, set()
    for pause, key in steps:
        due = debounce.due()
        if due is not None and due <= now + pause:
            burst = debounce.take(due)
            assert burst is not None
            assert burst.keys == waiting.keys()
            assert due - min(waiting.values()) <= LIMITS.maximum
            taken |= burst.keys
            waiting.clear()
        now += pause
        debounce.add(keys(key), now)
        waiting.setdefault(key, now)
    assert taken | waiting.keys() == {key for _, key in steps}


def test_a_proxy_has_one_pending_push_that_grows() -> None:
    queue = PushQueue()
    queue.add("a", Push(2.0, frozenset({"CDS"}), frozenset({"x"})))
    queue.add("a", Push(1.0, frozenset({"RDS"}), frozenset({"y"})))
    queue.add("b", Push(3.0))
    assert len(queue) == 2
    assert queue.take("a") == Push(1.0, frozenset({"CDS", "RDS"}), frozenset({"x", "y"}))
    assert queue.take("a") is None
    assert len(queue) == 1
