import asyncio

import pytest

from mizzen.proxy.engine.plan import ClusterPlan, EndpointPlan, EndpointSetPlan
from mizzen.proxy.io import resolver as resolver_module
from mizzen.proxy.io.resolver import Resolver

DECLARED = EndpointSetPlan("x", (EndpointPlan("a.example", 80, weight=2), EndpointPlan("127.0.0.1", 81)))
PLAN = ClusterPlan("x", "dns", endpoint_set=DECLARED)


async def test_names_become_addresses_and_the_last_good_answer_stays() -> None:
    answers: list[object] = [["10.0.0.1", "10.0.0.2"], OSError("no such host"), []]
    found: list[EndpointSetPlan] = []

    async def lookup(name: str) -> list[str]:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer  # type: ignore[return-value]

    resolver = Resolver(PLAN, DECLARED, found.append, lookup)
    try:
        for _ in range(10):  # the resolver's own first round
            await asyncio.sleep(0)
        assert [(e.address, e.port, e.weight) for e in found[0].endpoints] == [
            ("10.0.0.1", 80, 2),
            ("10.0.0.2", 80, 2),
            ("127.0.0.1", 81, 1),
        ]
        assert await resolver.refresh() is True
        assert found[1] == found[0]
    finally:
        resolver.stop()


async def test_a_name_that_never_resolved() -> None:
    found: list[EndpointSetPlan] = []

    async def lookup(name: str) -> list[str]:
        raise OSError("no such host")

    resolver = Resolver(PLAN, DECLARED, found.append, lookup)
    try:
        assert await resolver.refresh() is False
        assert [e.address for e in found[0].endpoints] == ["127.0.0.1"]
    finally:
        resolver.stop()


async def test_a_name_that_cannot_be_asked_for_costs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    found: list[EndpointSetPlan] = []
    names = EndpointSetPlan("x", (EndpointPlan(f"{'a' * 64}.example", 80), EndpointPlan("good.example", 80)))
    resolver = Resolver(PLAN, names, found.append, _encode)
    try:
        assert await resolver.refresh() is False
        assert [e.address for e in found[0].endpoints] == ["10.0.0.1"]
        assert await resolver.refresh() is False
    finally:
        resolver.stop()
    assert caplog.text.count("does not resolve") == 1, "the same trouble is told once"


async def _encode(name: str) -> list[str]:
    name.encode("idna")
    return ["10.0.0.1"]


async def test_names_are_asked_for_at_once() -> None:
    asked: list[str] = []
    both = asyncio.Event()

    async def lookup(name: str) -> list[str]:
        asked.append(name)
        if len(asked) == 2:
            both.set()
        await both.wait()
        return [f"10.0.0.{len(name)}"]

    names = EndpointSetPlan("x", (EndpointPlan("a", 80), EndpointPlan("bb", 80)))
    found: asyncio.Future[EndpointSetPlan] = asyncio.get_running_loop().create_future()
    resolver = Resolver(PLAN, names, found.set_result, lookup)
    try:
        async with asyncio.timeout(20):
            endpoints = (await found).endpoints
    finally:
        resolver.stop()
    assert [e.address for e in endpoints] == ["10.0.0.1", "10.0.0.2"]


async def test_a_fault_is_not_the_end(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(resolver_module, "RETRY_AFTER", 0.01)
    heard = asyncio.Event()
    faults = [LookupError("unforeseen")]

    def stumble(found: EndpointSetPlan) -> None:
        if faults:
            raise faults.pop()
        heard.set()

    resolver = Resolver(PLAN, DECLARED, stumble, lambda name: _encode("x"))
    try:
        async with asyncio.timeout(20):
            await heard.wait()
    finally:
        resolver.stop()
    assert "unforeseen" in caplog.text
