import asyncio

from mizzen.proxy.engine.plan import ClusterPlan, EndpointPlan, EndpointSetPlan
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
