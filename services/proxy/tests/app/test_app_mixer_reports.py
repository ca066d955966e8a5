"""The queue of reports: what is on its way is neither left out nor counted twice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from mizzen.attributes.bag import DictBag
from mizzen.proxy.app.mixer.checks import bag_shape
from mizzen.proxy.app.mixer.contract import CallFailed
from mizzen.proxy.app.mixer.reports import ReportSender
from mizzen.proxy.app.mixer.statistics import CallStats
from mizzen.proxy.engine.mixer_plan import TransportPlan


class SlowMixer:
    """Each batch has one report; sending waits for a word, which is an error or None."""

    def __init__(self) -> None:
        self.outcomes: asyncio.Queue[Exception | None] = asyncio.Queue()
        self.sending: list[Any] = []
        self.sent: list[Any] = []

    def batch(self, _transport: TransportPlan) -> SlowBatch:
        return SlowBatch(self)


class SlowBatch:
    def __init__(self, mixer: SlowMixer) -> None:
        self._mixer = mixer
        self._reports: list[Mapping[str, Any]] = []

    def __len__(self) -> int:
        return len(self._reports)

    def add(self, own: Mapping[str, Any], common: Mapping[str, Any]) -> None:
        self._reports.append(own)

    async def send(self) -> None:
        self._mixer.sending += self._reports
        outcome = await self._mixer.outcomes.get()
        if outcome is not None:
            raise outcome
        self._mixer.sent += self._reports


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for is in the object under test
            await asyncio.sleep(0)


@pytest.mark.parametrize(("outcome", "dropped"), [(None, 1), (CallFailed(2, "no"), 2)])
async def test_a_batch_on_its_way_is_counted_once(
    outcome: Exception | None, dropped: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mizzen.proxy.app.mixer.reports.MAX_ENTRIES", 2)
    mixer, stats = SlowMixer(), CallStats()
    sender = ReportSender(TransportPlan(report_batch=False), mixer, stats)  # type: ignore[arg-type]
    sender.add({"n": 1})
    await until(lambda: mixer.sending)
    for number in (2, 3):
        sender.add({"n": number})
    assert stats.reports_dropped == 1
    mixer.outcomes.put_nowait(outcome)
    mixer.outcomes.put_nowait(None)
    await until(lambda: {"n": 3} in mixer.sent)
    await sender.close(1.0)
    assert stats.reports_dropped == dropped
    assert mixer.sent == [{"n": 3}] if outcome else [{"n": 1}, {"n": 3}]


def test_a_verdict_for_a_map_without_the_key_is_none_for_no_map() -> None:
    shape = bag_shape(frozenset({("request.headers", "x")}))
    without_key = shape.key(DictBag({"request.headers": {}}))  # type: ignore[arg-type]
    assert without_key == shape.key(DictBag({"request.headers": {"y": "1"}}))  # type: ignore[arg-type]
    assert without_key != shape.key(DictBag({}))  # type: ignore[arg-type]
