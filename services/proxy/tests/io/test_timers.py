import pytest
from hypothesis import given
from hypothesis import strategies as st
from playbook import ManualLoop

from mizzen.proxy.io.timers import NEVER, TICK, Wheel


class Item:
    """Wants to be looked at at each of its times; notes when it was."""

    def __init__(self, loop: ManualLoop, times: list[float]) -> None:
        self.look_at = NEVER
        self._loop = loop
        self._times = times
        self.looks: list[float] = []

    def on_timer(self, now: float) -> float:
        self.looks.append(now)
        while self._times and self._times[0] <= now:
            self._times.pop(0)
        return self._times[0] if self._times else NEVER


DELAYS = st.lists(st.lists(st.floats(0.1, 200.0), min_size=1, max_size=4), min_size=1, max_size=5)


@given(DELAYS)
def test_everybody_is_looked_at_on_time(plans: list[list[float]]) -> None:
    loop = ManualLoop()
    wheel = Wheel(loop)  # type: ignore[arg-type]
    wanted = [sorted(loop.time() + delay for delay in delays) for delays in plans]
    items = [Item(loop, list(times)) for times in wanted]
    for item, times in zip(items, wanted, strict=True):
        wheel.look(item, times[0])
    loop.advance(300.0)
    for item, times in zip(items, wanted, strict=True):
        for time in times:
            assert any(time <= look <= time + 2 * TICK for look in item.looks)
        assert item.look_at == NEVER


def test_a_later_wish_replaces_the_earlier_one() -> None:
    loop = ManualLoop()
    wheel = Wheel(loop)  # type: ignore[arg-type]
    item = Item(loop, [])
    wheel.look(item, loop.time() + 5.0)
    wheel.look(item, loop.time() + 1.0)
    loop.advance(10.0)
    assert len(item.looks) == 1


def test_the_forgotten_are_not_looked_at() -> None:
    loop = ManualLoop()
    wheel = Wheel(loop)  # type: ignore[arg-type]
    item = Item(loop, [])
    wheel.look(item, loop.time() + 5.0)
    wheel.forget(item)
    wheel.forget(item)
    loop.advance(10.0)
    assert item.looks == []


def test_a_fault_in_one_deadline_costs_nobody_else_his(caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(Item):
        def on_timer(self, now: float) -> float:
            raise RuntimeError("a fault")

    loop = ManualLoop()
    wheel = Wheel(loop)  # type: ignore[arg-type]
    items = [Faulty(loop, []), Item(loop, []), Item(loop, [])]
    for item, delay in zip(items, (1.0, 1.0, 5.0), strict=True):
        wheel.look(item, loop.time() + delay)
    loop.advance(10.0)
    assert [len(item.looks) for item in items] == [0, 1, 1]
    assert "RuntimeError: a fault" in caplog.text
