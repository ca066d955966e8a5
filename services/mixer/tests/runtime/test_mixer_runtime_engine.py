"""The engine over changes of its configuration: handlers' lives, bad versions, pages, numbers, explanations."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from runtime_support import MemoryStore, Probe, Script, resource, rule, together

from mizzen.api.store.watch import FolderStore
from mizzen.attributes.bag import DictBag
from mizzen.mixer.adapter import CheckResult, QuotaArgs, QuotaResult
from mizzen.mixer.runtime.engine import RuleEngine
from mizzen.mixer.runtime.metrics import EngineCollector
from mizzen.mixer.server.policy import Engine
from mizzen.mixer.status import OK, Code, Status

NOTHING = resource("checknothing", "nothing")
WHO = resource("listentry", "who", "{value: source.user}")
ONE = together(resource("noop", "a", "{x: 1}"), NOTHING, WHO)


def refusal(code: int = 7) -> str:
    return resource("denier", "no", f"{{status: {{code: {code}}}}}")


def deny(**fields: str) -> str:
    return rule("deny", "no: nothing.checknothing", **fields).replace("no.noop", "no.denier")


def test_the_engine_is_what_the_servers_ask_for():
    engine: Engine = RuleEngine(Probe(Script()).store)
    assert engine.show_rules() == []


async def test_only_handlers_that_rules_use_are_started(start):
    probe = await start(together(ONE, resource("noop", "idle"), rule("r", "a: who.listentry nothing.checknothing")))
    ((name, environment, params),) = probe.script.built
    assert (name, environment.name, environment.namespace) == ("a", "a.noop.istio-system", "istio-system")
    assert [(use.name, use.template, {k: t.name for k, t in use.types.items()}) for use in environment.uses] == [
        ("nothing.checknothing.istio-system", "checknothing", {}),
        ("who.listentry.istio-system", "listentry", {"value": "STRING"}),
    ]
    assert params == {"x": 1}


async def test_a_handler_of_which_nothing_changes_is_kept(start):
    first = together(ONE, rule("r", "a: who.listentry"))
    probe = await start(first)
    await probe.reload(
        together(ONE, rule("r", "a: who.listentry", match='source.user == "eve"'), rule("s", "a: who.listentry"))
    )
    assert len(probe.script.built) == 1
    await probe.reload(together(ONE, rule("r", "a: who.listentry nothing.checknothing")))
    assert len(probe.script.built) == 2
    await probe.reload(together(ONE.replace("x: 1", "x: 2"), rule("r", "a: who.listentry nothing.checknothing")))
    assert len(probe.script.built) == 3
    await probe.settled()
    assert probe.script.closed == ["a", "a"]
    lives = probe.engine.handlers.lives
    assert (lives.started, lives.kept, lives.closed) == (3, 1, 2)


async def test_a_handler_no_rule_names_any_more_is_closed(start):
    probe = await start(together(ONE, rule("r", "a: who.listentry")))
    await probe.reload(ONE)
    await probe.settled()
    assert probe.script.closed == ["a"]
    assert probe.engine.show_handlers() == []


async def test_requests_under_way_keep_their_handlers(start):
    gate = asyncio.Event()

    async def slow(instance):
        await gate.wait()
        return CheckResult(Status(Code.NOT_FOUND, "old"))

    probe = await start(together(ONE, rule("r", "a: nothing.checknothing")), Script(checks={"a": slow}))
    request = asyncio.create_task(probe.check())
    await asyncio.sleep(0)
    await probe.reload(ONE)
    await probe.settled()
    assert probe.script.closed == []
    assert (await probe.check()).status == OK
    gate.set()
    assert (await request).status.message == "a.noop.istio-system:old"
    await probe.settled()
    assert probe.script.closed == ["a"]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [("{fail: 'address: no such host'}", "address: no such host"), ("{crash: oops}", "RuntimeError: oops")],
)
async def test_a_handler_that_cannot_start_disables_its_actions_alone(start, spec, reason):
    probe = await start(
        together(resource("noop", "bad", spec), ONE, rule("r", "bad: nothing.checknothing", "a: nothing.checknothing"))
    )
    await probe.check()
    assert [name for name, _ in probe.script.checked] == ["a"]
    shown = {page["name"]: page for page in probe.engine.show_handlers()}
    assert shown["bad.noop.istio-system"] == {"name": "bad.noop.istio-system", "running": False, "problem": reason}
    assert shown["a.noop.istio-system"]["running"] is True


async def test_a_handler_whose_new_version_cannot_start_goes_on_as_it_was(start):
    refused = Status(Code.PERMISSION_DENIED, "no")
    script = Script(checks={"a": lambda instance: CheckResult(refused)})
    probe = await start(together(ONE, rule("r", "a: nothing.checknothing")), script)
    await probe.reload(together(ONE.replace("x: 1", "fail: bad"), rule("r", "a: nothing.checknothing")))
    assert (await probe.check()).status.code is Code.PERMISSION_DENIED
    (page,) = probe.engine.show_handlers()
    assert (page["running"], page["problem"]) == (True, "bad; it goes on as it was")
    assert script.closed == []


async def test_a_handler_that_does_not_close_well_is_counted(start):
    def fails(name):
        raise OSError("stuck")

    probe = await start(together(ONE, rule("r", "a: who.listentry")), Script(close=fails))
    await probe.reload(ONE)
    await probe.settled()
    assert probe.engine.handlers.lives.failed_to_close == 1


async def test_a_slip_in_a_rule_does_not_open_what_it_closed(start):
    probe = await start(together(refusal(), NOTHING, deny(match='source.user == "eve"')))
    await probe.reload(together(refusal(), NOTHING, deny(match='source.usr == "eve"')))
    assert (await probe.check({"source.user": "eve"})).status.code is Code.PERMISSION_DENIED
    assert (await probe.check({"source.user": "bob"})).status == OK
    page = probe.engine.show_config()
    (reason,) = page["quarantined"].values()
    slip = "spec.match: column 1: unknown attribute source.usr; did you mean source.user?"
    assert reason == f"{slip}; its last good version stays in use"
    assert "policy.yaml:13 (document 3): error: rule istio-system/deny: spec.match: column 1" in page["problems"][0]
    await probe.reload(together(refusal(), NOTHING))
    assert (await probe.check({"source.user": "eve"})).status == OK


async def test_a_slip_in_an_instance_leaves_the_rules_of_it(start):
    text = together(resource("noop", "a"), WHO, rule("r", "a: who.listentry"))
    probe = await start(text)
    for _ in range(2):
        await probe.reload(text.replace("source.user", "source.usr"))
        await probe.check({"source.user": "eve"})
        assert set(probe.engine.config.quarantined) == {"listentry istio-system/who"}
    assert len(probe.script.checked) == 2
    await probe.reload(text.replace("source.user", "source.name"))
    await probe.check({"source.name": "eve"})
    assert probe.engine.config.problems == ()


async def test_a_bad_rule_from_the_start_is_quarantined_and_the_others_work(start):
    probe = await start(
        together(ONE, rule("bad", "a: who.listentry", match="source.usr"), rule("good", "a: nothing.checknothing"))
    )
    await probe.check()
    assert [instance for _, instance in probe.script.checked] == ["nothing.checknothing.istio-system"]
    pages = {page["name"]: page for page in probe.engine.show_rules()}
    assert pages["istio-system/bad"]["quarantined"].startswith("spec.match: column 1: unknown attribute source.usr")
    assert pages["good.rule.istio-system"]["actions"] == [
        {"handler": "a.noop.istio-system", "instances": ["nothing.checknothing.istio-system"]}
    ]


async def test_a_watched_store_is_followed(start):
    probe = await start(together(refusal(), NOTHING))
    watching = asyncio.create_task(probe.engine.watch())
    try:
        await asyncio.wait_for(probe.store.watched.wait(), 20)
        probe.store.put(together(ONE, refusal(), deny(), rule("r", "a: nothing.checknothing")))
        async with asyncio.timeout(20):
            await probe.built.wait()
        await probe.settled()
        assert (await probe.check()).status.code is Code.PERMISSION_DENIED
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_a_folder_of_yaml_is_policy(tmp_path):
    texts = [refusal(), NOTHING, deny()]
    whole = "\n---\n".join(f"apiVersion: config.istio.io/v1alpha2\n{text}" for text in texts)
    (tmp_path / "policy.yaml").write_text(whole)
    engine = RuleEngine(FolderStore(tmp_path))
    await engine.load()
    try:
        verdict = await engine.check(DictBag({}), {}, "")
        assert verdict.status.code is Code.PERMISSION_DENIED
    finally:
        await engine.close()


async def test_pages_are_json(start):
    quota = resource("quota", "count", "{dimensions: {user: source.user}}")
    probe = await start(
        together(
            ONE,
            quota,
            rule("r", "a: who.listentry count.quota", requestHeaderOperations="[{name: x, operation: REMOVE}]"),
        )
    )
    engine = probe.engine
    for page in (engine.show_config(), engine.show_handlers(), engine.show_rules(), engine.show_attributes()):
        assert json.loads(json.dumps(page)) == page
    assert engine.show_attributes()["source.ip"] == "IP_ADDRESS"
    instances = engine.show_config()["instances"]
    assert instances["count.quota.istio-system"] == {"template": "quota", "fields": {"dimensions.user": "source.user"}}
    assert engine.show_rules()[0]["headers"] == ["x"]


async def test_the_numbers_have_istios_names(start):
    def fails(instance):
        raise OSError("gone")

    probe = await start(
        together(
            ONE,
            resource("noop", "b"),
            resource("noop", "broken", "{fail: x}"),
            rule("r", "a: nothing.checknothing"),
            rule("s", "b: nothing.checknothing", match='source.user == "eve"'),
            rule("t", "broken: nothing.checknothing"),
            rule("u", "a: who.listentry", match="source.usr"),
        ),
        Script(checks={"b": fails}),
    )
    await probe.check()
    with pytest.raises(Exception, match="gone"):
        await probe.check({"source.user": "eve"})
    registry = CollectorRegistry()
    registry.register(EngineCollector(probe.engine))
    text = generate_latest(registry).decode()
    good = 'adapter="noop",error="false",handler="a.noop.istio-system",meshFunction="checknothing"'
    bad = 'adapter="noop",error="true",handler="b.noop.istio-system",meshFunction="checknothing"'
    for line in (
        f"mixer_runtime_dispatch_count{{{good}}} 2.0",
        f"mixer_runtime_dispatch_count{{{bad}}} 1.0",
        f"mixer_runtime_dispatch_duration_count{{{good}}} 2.0",
        "mixer_config_handler_config_count 3.0",
        "mixer_config_rule_config_count 4.0",
        "mixer_config_rule_config_match_error_count 1.0",
        "mixer_config_instance_config_count 2.0",
        "mixer_config_instance_config_error_count 0.0",
        "mixer_config_unsatisfied_action_handler_count 1.0",
        "mixer_handler_new_handler_count 2.0",
        "mixer_handler_handler_build_failure_count 1.0",
        "mixer_dispatcher_destinations_per_request_count 2.0",
        "mixer_dispatcher_destinations_per_request_sum 3.0",
        'mixer_dispatcher_instances_per_request_bucket{le="1"} 1.0',
    ):
        assert line in text.splitlines(), (line, text)


async def test_numbers_go_on_when_a_handler_is_started_anew(start):
    probe = await start(together(ONE, rule("r", "a: nothing.checknothing")))
    await probe.check()
    await probe.reload(together(ONE.replace("x: 1", "x: 2"), rule("r", "a: nothing.checknothing")))
    await probe.check()
    (page,) = probe.engine.show_handlers()
    assert page["calls"] == {"checknothing": {"ok": 2, "failed": 0}}


async def test_an_explanation_tells_of_every_rule(start):
    probe = await start(
        together(
            ONE,
            resource("quota", "count", "{dimensions: {user: source.user}}"),
            resource("metric", "m", "{value: response.code}"),
            rule(
                "check",
                "a: who.listentry",
                match='source.user == "eve"',
                requestHeaderOperations="[{name: x, values: [source.user]}]",
            ),
            rule("no", "a: nothing.checknothing", match='source.user == "bob"'),
            rule("quota", "a: count.quota"),
            rule("report", "a: m.metric"),
            rule("unknowable", "a: nothing.checknothing", match='source.name == "x"'),
        ),
        Script(quotas={"a": lambda instance, args: QuotaResult(1)}),
    )
    story = await probe.engine.explain(DictBag({"source.user": "eve"}), {"count": QuotaArgs(5)})
    assert json.loads(json.dumps(story)) == story
    rules = {told["rule"].split(".")[0]: told for told in story["rules"]}
    assert [(name, told["matched"]) for name, told in rules.items()] == [
        ("check", True), ("no", False), ("unknowable", False), ("quota", True), ("report", True),
    ]  # fmt: skip
    assert rules["unknowable"]["reason"] == "lookup failed: 'source.name'"
    varieties = {name: [part["variety"] for part in told.get("instances", ())] for name, told in rules.items()}
    assert varieties == {"check": ["check"], "no": [], "unknowable": [], "quota": ["quota"], "report": ["report"]}
    (asked,) = rules["check"]["instances"]
    assert asked["fields"] == {"value": "eve"}
    assert asked["answer"]["status"] == {"code": "OK", "message": ""}
    assert rules["quota"]["instances"][0]["answer"]["amount"] == 1
    assert rules["report"]["instances"][0]["error"].endswith("value: lookup failed: 'response.code'")
    assert probe.script.reported == []
    assert story["verdict"]["status"]["code"] == "OK"
    assert story["verdict"]["request_headers"] == [{"name": "x", "value": "eve", "action": "REPLACE"}]
    assert {"attribute": "source.user", "present": True} in story["read"]


async def test_an_explanation_of_a_request_without_verdict(start):
    probe = await start(together(ONE, rule("r", "a: who.listentry")))
    story = await probe.engine.explain(DictBag({}), {})
    assert story["error"] == "instance who.listentry.istio-system: value: lookup failed: 'source.user'"
    assert "verdict" not in story


async def test_an_explanation_names_what_is_not_in_force(start):
    probe = await start(
        together(
            ONE,
            resource("noop", "broken", "{fail: no such thing}"),
            rule("stopped", "broken: nothing.checknothing"),
            rule("unreadable", "a: nothing.checknothing", match="source.usr == 1"),
        )
    )
    story = await probe.engine.explain(DictBag({}), {})
    left_out = story["left_out"]
    assert left_out["handler broken.noop.istio-system"] == "no such thing"
    assert "unknown attribute source.usr" in next(reason for id_, reason in left_out.items() if "unreadable" in id_)
    assert "handler broken.noop.istio-system: no such thing" in probe.engine.show_config()["problems"]


async def test_explanation_and_check_agree(start):
    probe = await start(
        together(ONE, refusal(), deny(match='source.user == "eve"'), rule("r", "a: nothing.checknothing"))
    )
    for user in ("eve", "bob"):
        verdict = await probe.check({"source.user": user})
        story = await probe.engine.explain(DictBag({"source.user": user}), {})
        assert story["verdict"]["status"] == {"code": verdict.status.code.name, "message": verdict.status.message}
        assert story["verdict"]["valid_use_count"] == verdict.valid_use_count
        assert len(story["read"]) == len(verdict.referenced)


async def test_explanation_and_check_agree_on_how_long_a_verdict_is_kept():
    store = MemoryStore()
    store.put(together(NOTHING, refusal(), deny()))
    for longest, valid, uncapped in ((1, "0:00:01", "0:00:05"), (90, "0:00:05", None)):
        engine = RuleEngine(store, longest_validity=timedelta(seconds=longest))
        await engine.load()
        verdict = (await engine.explain(DictBag({}), {}))["verdict"]
        assert verdict["valid_duration"] == str((await engine.check(DictBag({}), {}, "")).valid_duration) == valid
        assert verdict.get("uncapped_duration") == uncapped
        await engine.close()
