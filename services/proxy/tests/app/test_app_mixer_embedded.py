"""Mixer's rules in the agent. Whatever they decide, a service with the same folder must decide it too."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest
from prometheus_client import CollectorRegistry

from mizzen.api.store.watch import FolderStore
from mizzen.attributes.bag import DictBag
from mizzen.attributes.compressed import encode
from mizzen.attributes.values import Value
from mizzen.attributes.words import WORDS
from mizzen.mixer.runtime.engine import RuleEngine
from mizzen.mixer.server.calls import Calls
from mizzen.mixer.server.metrics import ServerMetrics
from mizzen.mixer.server.overload import Limits, LoadShedder
from mizzen.mixer.server.server import MixerServer
from mizzen.proto.attributes_pb2 import Attributes
from mizzen.proto.mixer_pb2 import CheckRequest
from mizzen.proxy.app.delivery import Deliverer
from mizzen.proxy.app.mixer.addresses import Addresses
from mizzen.proxy.app.mixer.checks import Checks
from mizzen.proxy.app.mixer.client import MixerCalls
from mizzen.proxy.app.mixer.contract import CallFailed, MixerClient, Question
from mizzen.proxy.app.mixer.embedded import LONGEST, PIECE, EmbeddedMixer
from mizzen.proxy.app.mixer.hub import MixerHub
from mizzen.proxy.app.mixer.pages import mixer_routes
from mizzen.proxy.app.mixer.statistics import CallStats
from mizzen.proxy.app.servers import Request
from mizzen.proxy.app.settings import EmbeddedMixer as Settings
from mizzen.proxy.app.sockets import ListeningSockets
from mizzen.proxy.app.workers import Workers
from mizzen.proxy.engine.control import CheckAnswer
from mizzen.proxy.engine.mixer_plan import MixerContext, MixerPlan, QuotaRulePlan, ServicePlan, TransportPlan
from mizzen.proxy.engine.plan import HttpPlan, ListenerPlan
from mizzen.proxy.snapshot.ads_session import Delivery
from mizzen.proxy.snapshot.store import Held, Store
from mizzen.runtime.address import Address
from mizzen.runtime.errors import StartError

CLOSED = TransportPlan(fail_open=False)
QUOTAS = (QuotaRulePlan((), (("requestcount", 1),)),)
OBJECT = """\
---
apiVersion: config.istio.io/v1alpha2
kind: {}
metadata: {{name: {}, namespace: istio-system}}
spec: {}
"""


def rule(match: str, handler: str, instance: str) -> str:
    name = f"rule-{instance.partition('.')[0]}"
    actions = f"[{{handler: {handler}, instances: [{instance}]}}]"
    return OBJECT.format("rule", name, f"{{match: '{match}', actions: {actions}}}")


DENY = (
    OBJECT.format("denier", "deny", "{status: {code: 7, message: Not allowed}}")
    + OBJECT.format("checknothing", "deny", "{}")
    + rule('destination.labels["app"] == "ratings"', "deny.denier", "deny.checknothing")
)
LIST = (
    OBJECT.format("listchecker", "versions", '{overrides: ["v1", "v2"]}')
    + OBJECT.format("listentry", "version", """{value: 'source.labels["version"]'}""")
    + rule('destination.labels["app"] == "reviews"', "versions.listchecker", "version.listentry")
)
QUOTA = (
    OBJECT.format("memquota", "limit", "{quotas: [{name: requestcount.quota.istio-system, maxAmount: 3}]}")
    + OBJECT.format("quota", "requestcount", "{dimensions: {user: source.user}}")
    + rule('destination.labels["app"] == "web"', "limit.memquota", "requestcount.quota")
)
HEADERS = OBJECT.format(
    "rule",
    "headers",
    """{match: 'request.path == "/edit"',
 requestHeaderOperations: [{name: x-user, values: [source.user]}, {name: x-old, operation: REMOVE}],
 responseHeaderOperations: [{name: x-seen, values: ['"yes"'], operation: APPEND}]}""",
)


def log(path: Path) -> str:
    return (
        OBJECT.format("stdio", "file", f"{{logStream: FILE, outputPath: '{path}'}}")
        + OBJECT.format("logentry", "paths", "{severity: '\"info\"', variables: {path: request.path}}")
        + rule("true", "file.stdio", "paths.logentry")
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "rules.yaml").write_text(DENY + LIST + QUOTA + HEADERS + log(tmp_path / "log"))
    return folder


async def embedded(folder: Path) -> AsyncIterator[MixerClient]:
    mixer = EmbeddedMixer(Settings(folder), "127.0.0.1")
    await mixer.load()
    following = asyncio.create_task(mixer.watch())
    yield mixer
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await mixer.close()


async def service(folder: Path) -> AsyncIterator[MixerClient]:
    engine = RuleEngine(FolderStore(folder), longest_validity=LONGEST)
    await engine.load()
    following = asyncio.create_task(engine.watch())
    clock = asyncio.get_running_loop().time
    calls = Calls(LoadShedder(Limits(), clock()), 100, ServerMetrics(CollectorRegistry()), clock)
    server = MixerServer(engine, calls)
    await server.start(Address("127.0.0.1", 0))
    client = MixerCalls(Addresses(Store(), str(server.address)).target)
    yield client
    await client.close()
    await server.close()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await engine.close()


@pytest.fixture(params=[embedded, service])
async def mixer(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[MixerClient]:
    """Both kinds of Mixer over the same folder."""
    async for client in request.param(folder):
        yield client


@pytest.fixture
async def decide(mixer: MixerClient) -> AsyncIterator[Callable[..., Awaitable[CheckAnswer]]]:
    """Asks as the agent does for a worker."""
    running: set[asyncio.Task[None]] = set()

    def spawn(work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        running.add(task)

    checks = Checks(mixer, CallStats(), spawn)

    async def decide(
        transport: TransportPlan = CLOSED, quotas: tuple[QuotaRulePlan, ...] = (), **values: Value | None
    ) -> CheckAnswer:
        context = MixerContext(transport, b"", check=True, report=True, quotas=quotas)
        return await checks.decide(context, attributes(**values), 5)

    yield decide
    await asyncio.gather(*running)


def attributes(**values: Value | None) -> dict[str, Value]:
    """A request; None is an attribute that it does not carry."""
    usual = {
        "context.time": datetime(2026, 11, 23, tzinfo=UTC),
        "source.labels": {"app": "web", "version": "v1"},
        "source.user": "jason",
        "request.path": "/",
    }
    stated = usual | {name.replace("_", "."): value for name, value in values.items()}
    return {name: value for name, value in stated.items() if value is not None}


def to(app: str) -> dict[str, Any]:
    return {"destination_labels": {"app": app}}


async def test_what_no_rule_is_about_may_go_on(decide: Any) -> None:
    answer = await decide(**to("other"))
    assert (answer.code, answer.serial, answer.valid_for, answer.uses) == (0, 5, 1.0, 10_000)
    assert ("destination.labels", "app") in answer.references


async def test_a_denial_and_what_it_depends_on(decide: Any) -> None:
    answer = await decide(**to("ratings"))
    assert (answer.code, answer.message) == (7, "deny.denier.istio-system:Not allowed")
    assert type(answer.code) is int, "a worker cannot read Mixer's own types"
    assert ("destination.labels", "app") in answer.references
    again = await decide(**to("ratings"))
    assert (again.code, again.cache_hit) == (7, True)
    assert not (await decide(**to("other"))).cache_hit


@pytest.mark.parametrize(("version", "code"), [("v1", 0), ("v3", 5)])
async def test_a_list(decide: Any, version: str, code: int) -> None:
    answer = await decide(**to("reviews"), source_labels={"app": "web", "version": version})
    assert answer.code == code
    assert ("source.labels", "version") in answer.references


async def test_header_operations(decide: Any) -> None:
    answer = await decide(request_path="/edit")
    assert answer.request_changes == (("replace", "x-user", "jason"), ("remove", "x-old", ""))
    assert answer.response_changes == (("append", "x-seen", "yes"),)


async def test_quotas_are_granted_to_those_who_share_them(mixer: MixerClient) -> None:
    bag = DictBag(attributes(**to("web")))
    (given,) = (await mixer.check(CLOSED, Question(bag, "a", {"requestcount": 2}))).grants.values()
    assert (given.amount, given.references is not None and given.references["source.user"]) == (2, True)
    rest = await mixer.check(CLOSED, Question(bag, "b", {"requestcount": 2}, best_effort=True))
    assert rest.grants["requestcount"].amount == 1
    nothing = await mixer.check(CLOSED, Question(bag, "c", {"requestcount": 1}))
    assert (nothing.answer.code, nothing.grants["requestcount"].amount) == (0, 0)
    repeated = await mixer.check(CLOSED, Question(bag, "a", {"requestcount": 2}))
    assert repeated.grants["requestcount"].amount == 2, "it was charged before"
    other = DictBag(attributes(**to("web"), source_user="eve"))
    assert (await mixer.check(CLOSED, Question(other, "d", {"requestcount": 2}))).grants["requestcount"].amount == 2


async def test_a_quota_that_is_used_up(decide: Any) -> None:
    transport = TransportPlan(fail_open=False, check_cache=False)
    codes = [(await decide(transport, QUOTAS, **to("web"))).code for _ in range(4)]
    assert codes == [0, 0, 0, 8]


async def test_a_burst_gets_no_more_than_the_quota_has(decide: Any) -> None:
    first = await decide(quotas=QUOTAS, **to("web"))
    burst = await asyncio.gather(*(decide(quotas=QUOTAS, **to("web")) for _ in range(30)))
    assert (first.code, sum(answer.code == 0 for answer in burst)) == (0, 2), "3 in all"
    assert {answer.code for answer in burst} == {0, 8}
    assert burst[0].quota_cache_hit, "the verdict was known, and tokens were fetched ahead"


async def test_a_burst_of_several_users_gets_each_ones_quota(decide: Any) -> None:
    users = [f"user-{number % 3}" for number in range(30)]
    await decide(quotas=QUOTAS, **to("web"), source_user="somebody")
    burst = await asyncio.gather(*(decide(quotas=QUOTAS, **to("web"), source_user=user) for user in users))
    passed = [user for user, answer in zip(users, burst, strict=True) if answer.code == 0]
    assert sorted(passed) == sorted(3 * ["user-0", "user-1", "user-2"])


@pytest.mark.parametrize(("fail_open", "code"), [(True, 0), (False, 13)])
async def test_rules_that_cannot_be_evaluated(decide: Any, fail_open: bool, code: int) -> None:
    answer = await decide(TransportPlan(fail_open=fail_open), **to("reviews"), source_labels=None)
    assert (answer.code, answer.shared, answer.references) == (code, True, None)
    assert "source.labels" in answer.message


async def test_reports(mixer: MixerClient, tmp_path: Path, app: SimpleNamespace) -> None:
    batch = mixer.batch(CLOSED)
    for number in range(PIECE + 2):
        batch.add(attributes(request_path=f"/{number}"), {})
    assert len(batch) == PIECE + 2
    await batch.send()

    def lines() -> list[str]:
        file = tmp_path / "log"
        return file.read_text().splitlines() if file.exists() else []

    await app.until(lambda: len(lines()) == PIECE + 2)
    assert all(f'"/{number}"' in line for number, line in enumerate(lines()))


async def test_reports_that_rules_cannot_read_do_not_stop_the_others(
    mixer: MixerClient, tmp_path: Path, app: SimpleNamespace
) -> None:
    batch = mixer.batch(CLOSED)
    for number in range(PIECE + 2):
        batch.add(attributes(request_path=f"/{number}"), {})
    batch.add(attributes(request_path=None), {})
    with pytest.raises(CallFailed, match=r"request\.path") as failed:
        await batch.send()
    assert failed.value.code == 2
    await app.until(lambda: (tmp_path / "log").exists() and len((tmp_path / "log").read_text().splitlines()) > PIECE)


async def test_a_change_of_the_folder_is_soon_in_force(mixer: MixerClient, folder: Path) -> None:
    bag = DictBag(attributes(**to("ratings")))

    async def wait_for(code: int) -> None:
        async with asyncio.timeout(20):
            while (await mixer.check(CLOSED, Question(bag, "a"))).answer.code != code:  # noqa: ASYNC110 - files
                await asyncio.sleep(0.05)

    await wait_for(7)
    (folder / "rules.yaml").write_text(LIST)
    await wait_for(0)
    (folder / "rules.yaml").write_text(DENY.replace("code: 7", "code: 16"))
    await wait_for(16)


async def test_requests_through_a_worker(mixer: MixerClient, tmp_path: Path, app: SimpleNamespace) -> None:
    """Answers survive the way to a worker, reports the way from it."""
    hub = MixerHub(mixer)
    workers = Workers(1, "WARNING")
    workers.connect(hub.heard)
    await workers.start()
    sockets = ListeningSockets()
    port = app.unused_port()
    message = Attributes()
    message.attributes["destination.labels"].string_map_value.entries["app"] = "ratings"
    transport = TransportPlan(fail_open=False, batch_seconds=0.05)
    service = ServicePlan(attributes=message.SerializeToString())
    plan = MixerPlan(transport, services=(("s", service),), default_service="s")
    listener = ListenerPlan("web", "127.0.0.1", port, "inbound", HttpPlan("web", "table", mixer=plan))
    held = tuple(Held(each.name, "1", b"", each, ()) for each in (app.table(200), listener))
    assert await Deliverer(workers, sockets, lambda: 0.0).deliver(Delivery(held, ())) == ()
    for _ in range(2):
        got = await app.fetch("127.0.0.1", port, "/stars")
        assert (got.status, got.body) == (403, "PERMISSION_DENIED:deny.denier.istio-system:Not allowed")
    await app.until(lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_text().count("/stars") == 2)
    assert hub.stats.reports_dropped == 0
    await workers.stop(1.0)
    sockets.close()
    await hub.close(1.0)


async def test_debug_pages_on_the_agents_server(folder: Path) -> None:
    mixer = EmbeddedMixer(Settings(folder), "127.0.0.1")
    await mixer.load()
    routes = mixer_routes(mixer.pages())

    async def page(name: str, **query: str) -> tuple[int, str]:
        answer = await routes["GET", f"/debug/{name}"](Request("GET", f"/debug/{name}", query))
        return answer.status, answer.text

    try:
        for name in ("config", "handlers", "rules", "attributes"):
            status, text = await page(name)
            assert status == 200
            assert json.loads(text)
        assert "deny.denier.istio-system" in (await page("handlers"))[1]
        asked = CheckRequest(
            attributes=encode({"destination.labels": {"app": "ratings"}}), global_word_count=len(WORDS)
        )
        status, text = await page("explain", check=urlsafe_b64encode(asked.SerializeToString()).decode())
        assert status == 200
        assert "Not allowed" in text
        assert await page("explain", check="AA") == (400, ANY)
        assert await page("explain") == (400, ANY)
    finally:
        await mixer.close()


async def test_a_folder_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    mixer = EmbeddedMixer(Settings(tmp_path / "file"), "127.0.0.1")
    with pytest.raises(StartError, match="cannot read the configuration"):
        await mixer.load()
    with suppress(StartError):
        await mixer.close()


def test_an_agent_without_it_does_not_carry_mixers_code() -> None:
    probe = "import sys, mizzen.proxy.app.agent; sys.exit(any(name.startswith('mizzen.mixer') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", probe], check=False, timeout=60).returncode == 0
