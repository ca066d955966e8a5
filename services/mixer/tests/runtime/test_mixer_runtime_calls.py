"""Calls of handlers: at once, waiting, side by side, too slow, cancelled, refused."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from mizzen.mixer.adapters.base import HandlerBase
from mizzen.mixer.runtime.budget import FAILURES, PAUSE_SECONDS, Budget
from mizzen.mixer.runtime.calls import CallFailed, Calls
from mizzen.mixer.runtime.destination import Destination


def destination(name: str = "h") -> Destination:
    return Destination(HandlerBase(), name, name, "noop", "checknothing")


async def outcomes(*coroutines: Coroutine[Any, Any, Any], seconds: float = 5.0) -> list[Any]:
    calls = Calls(seconds)
    for coroutine in coroutines:
        calls.add(destination(), coroutine, int)
    if calls.waiting:
        await calls.finish()
    return [str(each) if isinstance(each, CallFailed) else each for each in calls.outcomes]


async def at_once(value: Any = 1) -> Any:
    return value


async def after_turns(value: int, turns: int = 3) -> int:
    for _ in range(turns):
        await asyncio.sleep(0)
    return value


async def wait_for(event: asyncio.Event, value: int) -> int:
    await event.wait()
    return value


async def test_an_answer_at_once_needs_no_turn_of_the_loop():
    calls = Calls()
    calls.add(destination(), at_once(), int)
    assert not calls.waiting
    assert calls.outcomes == [1]


@pytest.mark.parametrize("turns", [[1], [3], [1, 0], [0, 1], [2, 5, 0, 3]])
async def test_outcomes_stand_in_the_order_of_the_calls(turns):
    calls = [after_turns(place, turn) if turn else at_once(place) for place, turn in enumerate(turns)]
    assert await outcomes(*calls) == list(range(len(turns)))


async def test_calls_that_wait_wait_side_by_side():
    first, second = asyncio.Event(), asyncio.Event()

    async def needs_the_other(mine: asyncio.Event, other: asyncio.Event) -> int:
        mine.set()
        await other.wait()
        return 1

    assert await outcomes(needs_the_other(first, second), needs_the_other(second, first)) == [1, 1]


async def test_time_limits_within_handlers_are_their_own():
    async def patient(seconds: float) -> int:
        try:
            async with asyncio.timeout(seconds):
                await asyncio.Event().wait()
        except TimeoutError:
            return 7
        return 0

    assert await outcomes(patient(0.01), patient(0.02), patient(0.001)) == [7, 7, 7]


async def test_tasks_and_queues_within_handlers_work():
    async def busy() -> int:
        queue: asyncio.Queue[int] = asyncio.Queue()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(queue.put(3))
            tasks.create_task(asyncio.sleep(0))
        return await queue.get() + sum(await asyncio.gather(after_turns(1), after_turns(2)))

    assert await outcomes(busy(), busy()) == [6, 6]


async def test_too_slow_a_handler_has_failed():
    never = asyncio.Event()
    found = await outcomes(wait_for(never, 1), wait_for(never, 2), at_once(3), seconds=0.01)
    assert found == ["h: no answer within 0.01 s", "h: no answer within 0.01 s", 3]


async def test_a_handler_that_is_cut_off_can_clean_up():
    cleaned = []

    async def careful() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)
        return 1

    await outcomes(careful(), careful(), seconds=0.01)
    assert cleaned == [True, True]


async def test_errors_are_outcomes():
    async def fails_now() -> int:
        raise ValueError("bad value")

    async def fails_later() -> int:
        await asyncio.sleep(0)
        raise KeyError("k")

    async def times_out_itself() -> int:
        raise TimeoutError("back end silent")

    async def gives_up_later() -> int:
        await asyncio.sleep(0)
        raise TimeoutError("back end silent")

    async def silent() -> int:
        raise ZeroDivisionError

    found = await outcomes(
        fails_now(), fails_later(), fails_later(), times_out_itself(), gives_up_later(), silent(), at_once("text")
    )
    assert found == [
        "h: bad value", "h: 'k'", "h: 'k'", "h: back end silent", "h: back end silent", "h: ZeroDivisionError",
        "h: answered with str instead of int",
    ]  # fmt: skip


async def test_a_cancelled_task_of_a_handler_is_its_error():
    async def now() -> int:
        raise asyncio.CancelledError

    async def later() -> int:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.cancel)
        return await future

    assert await outcomes(now(), later(), later()) == ["h: CancelledError"] * 3


async def test_cancelling_the_request_cancels_its_calls():
    cancelled = []

    async def watched(name: str) -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(name)
            raise
        return 1

    request = asyncio.create_task(outcomes(watched("first"), watched("second"), watched("third")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    await asyncio.sleep(0)
    assert sorted(cancelled) == ["first", "second", "third"]


async def test_numbers_are_kept():
    async def fails() -> int:
        raise ValueError("x")

    place = destination()
    calls = Calls()
    for call in (at_once(), after_turns(1), fails()):
        calls.add(place, call, int)
    await calls.finish()
    assert (place.good.calls, place.bad.calls) == (2, 1)
    assert place.good.total > 0


async def test_after_many_errors_in_a_row_a_handler_is_left_alone():
    place = destination()

    async def fails() -> int:
        raise ValueError("x")

    for _ in range(FAILURES):
        Calls().add(place, fails(), int)
    calls = Calls()
    calls.add(place, at_once(), int)
    assert str(calls.outcomes[0]) == f"h: not called after {FAILURES} errors in a row, the last: x"
    assert place.bad.calls == FAILURES


def test_the_budget_of_errors():
    budget = Budget()
    for _ in range(FAILURES - 1):
        budget.failed(10.0, "x")
    assert budget.refusal(10.0) == ""
    budget.failed(10.0, "x")
    assert "20 errors in a row" in budget.refusal(10.0)
    assert budget.refusal(10.0 + PAUSE_SECONDS) == ""
    budget.failed(12.0, "y")
    assert budget.refusal(12.5).endswith("the last: y")
    budget.succeeded()
    budget.failed(20.0, "z")
    assert budget.refusal(20.0) == ""
