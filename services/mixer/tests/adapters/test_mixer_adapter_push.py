"""The queue before a back end: batches, bounds, retries, losses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from mizzen.mixer.adapter import AdapterError
from mizzen.mixer.adapters import metrics, push
from mizzen.mixer.adapters.push import Limits, Pusher


class BackEnd:
    """Keeps what it is sent; fails or hangs as told."""

    def __init__(self) -> None:
        self.batches: list[list[object]] = []
        self.failures = 0
        self.hangs = False
        self.called = asyncio.Semaphore(0)

    async def __call__(self, batch: Sequence[object]) -> None:
        self.called.release()
        if self.hangs:
            await asyncio.Event().wait()
        if self.failures:
            self.failures -= 1
            raise ConnectionError("go away")
        self.batches.append(list(batch))


def dropped(handler: str, reason: str) -> float:
    return metrics.DROPPED.labels(handler, reason)._value.get()


async def test_what_comes_together_goes_together_when_closed():
    back_end = BackEnd()
    pusher = Pusher("push-close", back_end, Limits(interval=60))
    pusher.put([1, 2])
    pusher.put([3])
    await pusher.close()
    assert back_end.batches == [[1, 2, 3]]
    assert metrics.SENT.labels("push-close")._value.get() == 3


async def test_a_full_batch_does_not_wait():
    back_end = BackEnd()
    pusher = Pusher("push-full", back_end, Limits(batch=2, interval=60))
    pusher.put([1, 2, 3])
    await back_end.called.acquire()
    assert back_end.batches == [[1, 2]]
    await pusher.close()
    assert back_end.batches == [[1, 2], [3]]


async def test_batches_are_weighed():
    back_end = BackEnd()
    pusher = Pusher("push-weigh", back_end, Limits(batch=5, interval=60), weigh=len)
    pusher.put([b"aaa", b"bb", b"cccc"])
    with pytest.raises(AdapterError, match="1 for their size"):
        pusher.put([b"123456", b"d"])
    await pusher.close()
    assert back_end.batches == [[b"aaa", b"bb"], [b"cccc", b"d"]]
    assert dropped("push-weigh", "large") == 1


async def test_what_does_not_fit_is_dropped_and_counted():
    back_end = BackEnd()
    pusher = Pusher("push-bound", back_end, Limits(queue=2, interval=60))
    with pytest.raises(AdapterError, match="dropped 3 entries for want of room"):
        pusher.put([1, 2, 3, 4, 5])
    await pusher.close()
    assert back_end.batches == [[1, 2]]
    assert dropped("push-bound", "full") == 3
    with pytest.raises(AdapterError):
        pusher.put([6])


async def test_a_failed_batch_is_tried_again_and_given_up_in_the_end(monkeypatch):
    async def no_pause(seconds: float) -> None:
        assert 0 < seconds <= 5

    monkeypatch.setattr(push.asyncio, "sleep", no_pause)
    back_end = BackEnd()
    back_end.failures = 4
    pusher = Pusher("push-retry", back_end, Limits(batch=1, interval=60, attempts=3))
    pusher.put(["lost", "late"])
    await pusher.close()
    assert back_end.batches == [["late"]]
    assert dropped("push-retry", "failed") == 1
    assert metrics.CALLS.labels("push-retry", "error")._value.get() == 4


async def test_a_back_end_that_hangs_is_timed_out():
    back_end = BackEnd()
    back_end.hangs = True
    pusher = Pusher("push-hang", back_end, Limits(interval=0, timeout=0.01, attempts=1))
    pusher.put([1])
    await back_end.called.acquire()
    await pusher.close()
    assert dropped("push-hang", "failed") == 1
    assert metrics.CALLS.labels("push-hang", "timeout")._value.get() == 1


async def test_closing_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(push, "CLOSE_SECONDS", 0.01)
    back_end = BackEnd()
    back_end.hangs = True
    pusher = Pusher("push-stuck", back_end, Limits(batch=1, interval=0, timeout=None, attempts=1))
    pusher.put([1, 2, 3])
    await back_end.called.acquire()
    await pusher.close()
    assert dropped("push-stuck", "closing") == 3


async def test_an_item_that_cannot_be_made_keeps_those_before_it():
    back_end = BackEnd()
    pusher = Pusher("push-raise", back_end, Limits(interval=60))

    def items():
        yield 1
        raise AdapterError("no instance of mine")

    with pytest.raises(AdapterError, match="no instance of mine"):
        pusher.put(items())
    await pusher.close()
    assert back_end.batches == [[1]]
