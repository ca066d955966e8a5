"""Checks: which rules apply, how results combine, what is read, and what headers become."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from runtime_support import MemoryStore, Script, resource, rule, together

from mizzen.attributes.bag import DictBag
from mizzen.mixer.adapter import CheckResult
from mizzen.mixer.runtime.engine import RuleEngine
from mizzen.mixer.runtime.verdicts import ALLOWED, Combined, combine
from mizzen.mixer.status import OK, Code, Status
from mizzen.mixer.verdict import DEFAULT_DURATION, DEFAULT_USES, HeaderAction, HeaderOperation, PolicyError

S = timedelta(seconds=1)
DENIED = Status(Code.PERMISSION_DENIED, "no")
NOTHING = resource("checknothing", "nothing")
ONE = together(resource("noop", "a"), NOTHING)
TWO = together(ONE, resource("noop", "b"))


def allow(seconds: int, uses: int) -> CheckResult:
    return CheckResult(OK, seconds * S, uses)


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], ALLOWED),
        ([CheckResult()], ALLOWED),
        ([CheckResult(), CheckResult()], ALLOWED),
        ([allow(5, 10)], Combined(OK, 5 * S, 10)),
        ([allow(5, 10), allow(3, 20)], Combined(OK, 3 * S, 10)),
        ([allow(5, 10), CheckResult()], Combined(OK, 5 * S, 10)),
        ([CheckResult(), allow(5, 10)], Combined(OK, 5 * S, 10)),
        ([allow(0, 10), allow(5, 20)], Combined(OK, 0 * S, 10)),
        ([CheckResult(DENIED)], Combined(Status(Code.PERMISSION_DENIED, "h0:no"), 0 * S, 0)),
        ([CheckResult(DENIED, 9 * S, 9), allow(5, 10)], Combined(Status(Code.PERMISSION_DENIED, "h0:no"), 5 * S, 9)),
        (
            [allow(5, 10), CheckResult(Status(Code.NOT_FOUND, "gone"), S, 1), CheckResult(DENIED, 2 * S, 2)],
            Combined(Status(Code.NOT_FOUND, "h1:gone, h2:no"), S, 1),
        ),
        ([CheckResult(DENIED, S, 1), CheckResult()], Combined(Status(Code.PERMISSION_DENIED, "h0:no"), S, 1)),
    ],
)
def test_results_combine(results, expected):
    assert combine((f"h{index}", result) for index, result in enumerate(results)) == expected


async def test_no_rules_allow(start):
    probe = await start("")
    verdict = await probe.check()
    assert (verdict.status, verdict.valid_duration, verdict.valid_use_count) == (OK, DEFAULT_DURATION, DEFAULT_USES)


async def test_a_refusal_of_a_real_adapter_reaches_the_caller(start):
    deny = "{status: {code: 7, message: Not allowed}, valid_duration: 3s, valid_use_count: 7}"
    probe = await start(
        together(
            resource("denier", "no", deny),
            NOTHING,
            rule("r", "no: nothing.checknothing", match='source.user == "eve"').replace("no.noop", "no.denier"),
        )
    )
    verdict = await probe.check({"source.user": "eve"})
    assert verdict.status == Status(Code.PERMISSION_DENIED, "no.denier.istio-system:Not allowed")
    assert (verdict.valid_duration, verdict.valid_use_count) == (3 * S, 7)
    assert (await probe.check({"source.user": "bob"})).status == OK
    assert (await probe.check()).status == OK  # a match that cannot be evaluated is none


async def test_the_name_of_a_handler_of_1_1_has_no_kind(start):
    handler = resource("handler", "no", "{compiledAdapter: denier}")
    probe = await start(
        together(handler, NOTHING, rule("r", "a: nothing.checknothing").replace("a.noop.istio-system", "no"))
    )
    assert (await probe.check()).status == Status(Code.FAILED_PRECONDITION, "no.istio-system:")


async def test_order_is_by_rule_and_action_whoever_answers_first(start):
    late = asyncio.Event()

    async def slow(instance):
        await late.wait()
        return CheckResult(Status(Code.NOT_FOUND, "slow"), S, 1)

    def fast(instance):
        late.set()
        return CheckResult(DENIED, S, 1)

    probe = await start(
        together(TWO, rule("r1", "a: nothing.checknothing"), rule("r2", "b: nothing.checknothing")),
        Script(checks={"a": slow, "b": fast}),
    )
    verdict = await probe.check()
    assert verdict.status == Status(Code.NOT_FOUND, "a.noop.istio-system:slow, b.noop.istio-system:no")


async def test_an_instance_that_cannot_be_built_fails_the_check(start):
    who = resource("listentry", "who", "{value: source.user}")
    probe = await start(together(ONE, who, rule("r", "a: who.listentry nothing.checknothing")))
    with pytest.raises(PolicyError) as error:
        await probe.check()
    assert str(error.value) == (
        "performing check operation failed: instance who.listentry.istio-system: value: lookup failed: 'source.user'"
    )
    assert probe.script.checked == [("a", "nothing.checknothing.istio-system")]
    assert (await probe.check({"source.user": "bob"})).status == OK


@pytest.mark.parametrize("waits", [False, True])
async def test_a_handler_that_raises_fails_the_check(start, waits):
    async def later(instance):
        await asyncio.sleep(0)
        raise OSError("gone")

    def now(instance):
        raise OSError("gone")

    script = Script(checks={"a": later if waits else now})
    probe = await start(together(TWO, rule("r", "a: nothing.checknothing", "b: nothing.checknothing")), script)
    with pytest.raises(PolicyError, match=r"^performing check operation failed: a\.noop\.istio-system: gone$"):
        await probe.check()
    assert [name for name, _ in script.checked] == ["a", "b"]


async def test_an_answer_of_a_wrong_kind_is_an_error(start):
    probe = await start(together(ONE, rule("r", "a: nothing.checknothing")), Script(checks={"a": lambda i: True}))
    with pytest.raises(PolicyError, match="answered with bool instead of CheckResult"):
        await probe.check()


NAMESPACES = together(
    TWO,
    rule("all", "a: nothing.checknothing"),
    rule("shop", "b: nothing.checknothing", namespace="shop"),
)


@pytest.mark.parametrize(
    ("attributes", "handlers"),
    [
        ({}, ["a"]),
        ({"destination.namespace": "shop"}, ["a", "b"]),
        ({"destination.namespace": "bank"}, ["a"]),
        ({"destination.namespace": "shop", "context.reporter.kind": "inbound"}, ["a", "b"]),
        ({"destination.namespace": "shop", "context.reporter.kind": "outbound"}, ["a"]),
        ({"source.namespace": "shop", "context.reporter.kind": "outbound"}, ["a", "b"]),
        ({"source.namespace": "shop"}, ["a"]),
        ({"destination.namespace": 5}, ["a"]),
    ],
)
async def test_rules_of_a_namespace_are_for_its_requests(start, attributes, handlers):
    probe = await start(NAMESPACES)
    await probe.check(attributes)
    assert [name for name, _ in probe.script.checked] == handlers


async def test_what_was_read_is_what_matching_and_building_took(start):
    who = resource("listentry", "who", '{value: "request.headers[`x`] | request.headers[`y`] | source.user"}')
    probe = await start(
        together(
            ONE,
            who,
            rule("r", "a: who.listentry", match='request.method == "GET"'),
            rule("s", "a: nothing.checknothing", match='request.path == "/"'),
        )
    )
    verdict = await probe.check({"request.method": "GET", "request.headers": {"y": "1"}, "source.user": "unread"})
    assert verdict.referenced == {
        "context.reporter.kind": False,
        "destination.namespace": False,
        "request.method": True,
        ("request.headers", "x"): False,
        ("request.headers", "y"): True,
        "request.path": False,
    }


EDITS = (
    "[{name: X-User, values: [source.user, '\"b\"']}, {name: old, operation: REMOVE}, "
    "{name: none, values: ['source.name']}, {name: empty, values: ['source.uid | \"\"']}]"
)


async def test_headers_of_matching_rules(start):
    probe = await start(
        together(
            ONE,
            rule(
                "r",
                requestHeaderOperations=EDITS,
                responseHeaderOperations="[{name: s, values: ['\"1\"'], operation: APPEND}]",
            ),
            rule("other", requestHeaderOperations="[{name: z, operation: REMOVE}]", match='source.user == "eve"'),
            rule(
                "unknowable",
                requestHeaderOperations="[{name: q, operation: REMOVE}]",
                match="connection.mtls",
            ),
        )
    )
    verdict = await probe.check({"source.user": "bob"})
    assert verdict.request_headers == (
        HeaderOperation("x-user", "bob"),
        HeaderOperation("x-user", "b"),
        HeaderOperation("old", action=HeaderAction.REMOVE),
    )
    assert verdict.response_headers == (HeaderOperation("s", "1", HeaderAction.APPEND),)
    assert (verdict.valid_duration, verdict.valid_use_count) == (DEFAULT_DURATION, DEFAULT_USES)
    assert verdict.referenced["source.user"] is True


OUTPUTS = """\
kind: rule
metadata: {name: NAME, namespace: istio-system}
spec:
  actions:
  - {handler: a.noop, instances: [who.listentry], name: x}
  - {handler: b.noop, instances: [nothing.checknothing], name: y}
  requestHeaderOperations:
  - {name: NAME-group, values: [x.output.group]}
  - {name: NAME-both, values: ['x.output.group | "no"', 'y.output.group | source.user', x.output.none, y.output.empty]}
  responseHeaderOperations:
  - {name: NAME-tier, values: [y.output.tier], operation: APPEND}
"""


def giving(**output: str):
    return lambda instance: CheckResult(OK, S, 1, {name: value.format(instance) for name, value in output.items()})


async def test_headers_from_what_checks_give(start):
    given = giving(tier="gold", empty="")
    script = Script(checks={"a": giving(group="of {0.value}"), "b": lambda instance: asyncio.sleep(0, given(instance))})
    who = resource("listentry", "who", "{value: source.user}")
    probe = await start(together(TWO, who, OUTPUTS.replace("NAME", "one"), OUTPUTS.replace("NAME", "two")), script)
    verdict = await probe.check({"source.user": "bob"})
    assert verdict.request_headers == tuple(
        HeaderOperation(f"{rule}-{name}", value)
        for rule in ("one", "two")
        for name, value in (("group", "of bob"), ("both", "of bob"), ("both", "bob"))
    )
    assert verdict.response_headers == tuple(
        HeaderOperation(f"{rule}-tier", "gold", HeaderAction.APPEND) for rule in ("one", "two")
    )
    assert set(verdict.referenced) == {"source.user", "destination.namespace", "context.reporter.kind"}
    story = await probe.engine.explain(DictBag({"source.user": "bob"}), {})
    assert [(edit["name"], edit["value"]) for edit in story["verdict"]["request_headers"]] == [
        (edit.name, edit.value) for edit in verdict.request_headers
    ]


async def test_outputs_are_those_of_the_rule_alone(start):
    script = Script(checks={"a": giving(group="a"), "b": lambda instance: CheckResult()})
    who = resource("listentry", "who", "{value: '\"w\"'}")
    other = OUTPUTS.replace("NAME", "two").replace("a.noop", "b.noop")
    probe = await start(together(TWO, who, OUTPUTS.replace("NAME", "one"), other), script)
    names = [(edit.name, edit.value) for edit in (await probe.check()).request_headers]
    assert names == [("one-group", "a"), ("one-both", "a"), ("two-both", "no")]


async def test_a_refusal_edits_no_headers(start):
    script = Script(checks={"a": lambda instance: CheckResult(DENIED)})
    edit = "[{name: s, values: ['\"1\"']}]"
    probe = await start(together(ONE, rule("r", "a: nothing.checknothing", requestHeaderOperations=edit)), script)
    assert (await probe.check()).request_headers == ()


async def test_a_match_is_evaluated_once_however_many_actions(start):
    probe = await start(
        together(TWO, rule("r", "a: nothing.checknothing", "b: nothing.checknothing", match='source.user == "eve"'))
    )
    await probe.check({})
    (shown,) = probe.engine.show_rules()
    assert shown["match_errors"] == 1
    assert shown["last_match_error"] == "lookup failed: 'source.user'"


@pytest.mark.parametrize(("longest", "valid"), [(2 * S, 2 * S), (90 * S, DEFAULT_DURATION)])
async def test_a_verdict_is_kept_no_longer_than_mixer_allows(longest, valid):
    engine = RuleEngine(MemoryStore(), longest_validity=longest)
    await engine.load()
    verdict = await engine.check(DictBag({}), {}, "")
    assert (verdict.valid_duration, verdict.valid_use_count) == (valid, DEFAULT_USES)
