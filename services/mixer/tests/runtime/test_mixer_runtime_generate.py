"""Attributes that handlers generate: bindings, who wins, what is noted as read, and errors."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import pytest
from runtime_support import Script, resource, rule, together

from mizzen.attributes.bag import DictBag
from mizzen.mixer.adapter import QuotaArgs
from mizzen.mixer.verdict import PolicyError

BINDINGS = """
kind: kubernetes
metadata: {name: pods, namespace: istio-system}
spec:
  source_uid: source.uid | ""
  attribute_bindings:
    source.name: $out.source_pod_name | "unknown"
    source.labels: $out.source_labels | emptyStringMap()
    source.namespace: $out.source_namespace | "default"
    source.ip: $out.source_pod_ip | ip("0.0.0.0")
"""
BASE = together(
    resource("noop", "k"),
    resource("noop", "a"),
    resource("checknothing", "nothing"),
    resource("listentry", "name", "{value: source.name}"),
    BINDINGS,
    rule("gen", "k: pods.kubernetes"),
)
POD = {"source_pod_name": "pod-1", "source_labels": {"app": "shop"}, "source_namespace": "shop"}


def script(answer=POD, **more) -> Script:
    return Script(answers={"k": lambda instance: answer}, **more)


async def test_bound_attributes_are_there_for_rules(start):
    match = '\'source.labels["app"] == "shop" && source.ip == ip("0.0.0.0")\''
    probe = await start(together(BASE, rule("r", "a: name.listentry", match=match)), script())
    verdict = await probe.check({"source.uid": "u"})
    assert probe.script.checked == [("a", "name.listentry.istio-system")]
    assert verdict.referenced == {"context.reporter.kind": False, "destination.namespace": False, "source.uid": True}


async def test_what_the_request_carries_is_not_overridden(start):
    seen = []
    probe = await start(
        together(BASE, rule("r", "a: name.listentry")),
        script(checks={"a": lambda instance: seen.append(instance.value) or None}),
    )
    for attributes in ({"source.name": "mine"}, {}):
        with pytest.raises(PolicyError):  # the script answers None: only what it saw matters here
            await probe.check(attributes)
    assert seen == ["mine", "pod-1"]


async def test_a_generated_namespace_decides_on_rules(start):
    probe = await start(together(BASE, rule("r", "a: nothing.checknothing", namespace="shop")), script())
    await probe.check({"context.reporter.kind": "outbound"})
    assert [name for name, _ in probe.script.checked] == ["a"]


async def test_the_first_of_two_generators_wins(start):
    other = BINDINGS.replace("name: pods", "name: others")
    probe = await start(
        together(
            BASE, other, resource("noop", "l"), rule("gen2", "l: others.kubernetes"), rule("r", "a: name.listentry")
        ),
        Script(
            answers={"k": lambda i: after_a_turn({}), "l": lambda i: {"source_pod_name": "second"}},
            checks={"a": lambda instance: seen.append(instance.value)},
        ),
    )
    seen: list[str] = []
    with pytest.raises(PolicyError):
        await probe.check({})
    assert seen == ["unknown"]


async def after_a_turn(value):
    await asyncio.sleep(0)
    return value


async def test_quotas_see_generated_attributes_and_note_what_generating_read(start):
    probe = await start(
        together(BASE, resource("quota", "count", "{dimensions: {name: source.name}}"), rule("q", "a: count.quota")),
        script(),
    )
    verdict = await probe.check({"source.uid": "u"}, {"count": 1})
    assert probe.script.asked == [
        ("a", "count.quota.istio-system", QuotaArgs(1, best_effort=True, deduplication_id="id-count"))
    ]
    assert verdict.quotas["count"].referenced == {
        "context.reporter.kind": False,
        "destination.namespace": False,
        "source.uid": True,
    }


async def test_reports_generate_for_each_request_anew(start):
    def answer(instance):
        return {"source_pod_name": f"pod of {instance.source_uid}"}

    probe = await start(
        together(
            BASE, resource("metric", "m", "{value: 1, dimensions: {name: source.name}}"), rule("r", "a: m.metric")
        ),
        Script(answers={"k": answer}),
    )
    await probe.report({"source.uid": "u1"}, {"source.uid": "u2"})
    ((_, instances),) = probe.script.reported
    assert [instance.dimensions["name"] for instance in instances] == ["pod of u1", "pod of u2"]


def boom(instance):
    raise OSError("no cluster")


@pytest.mark.parametrize(
    ("play", "message"),
    [
        (boom, "preprocessing attributes failed: k.noop.istio-system: no cluster"),
        (lambda i: None, "k.noop.istio-system: answered with NoneType instead of Mapping"),
        (
            lambda i: {"source_pod_name": 5},
            "instance pods.kubernetes.istio-system: source.name: error converting value to string: '5'",
        ),
        (lambda i: {"source_labels": "app=shop"}, "error converting value to string map"),
        (lambda i: {"source_pod_ip": "1.2.3.4"}, "error converting value to IP address"),
    ],
)
async def test_a_generator_that_fails_fails_the_request(start, play, message):
    probe = await start(together(BASE, rule("r", "a: name.listentry")), Script(answers={"k": play}))
    with pytest.raises(PolicyError) as error:
        await probe.check({})
    assert message in str(error.value)
    with pytest.raises(PolicyError, match="preprocessing attributes failed"):
        await probe.report({})


async def test_an_address_of_a_pod_is_an_address(start):
    match = "'source.ip == ip(\"1.2.3.4\")'"
    probe = await start(
        together(BASE, rule("r", "a: nothing.checknothing", match=match)),
        script({"source_pod_ip": ip_address("::ffff:1.2.3.4")}),
    )
    await probe.check({})
    assert [name for name, _ in probe.script.checked] == ["a"]


async def test_an_explanation_shows_what_a_generator_was_asked_and_what_came_of_it(start):
    bound = BINDINGS + '    source.uid: $out.source_pod_uid | "generated"\n'
    probe = await start(together(BASE.replace(BINDINGS, bound), rule("r", "a: name.listentry")), script())
    story = await probe.engine.explain(DictBag({}), {})
    assert story["generated"]["source.uid"] == "generated"
    (asked,) = story["rules"][0]["instances"]
    assert asked["fields"]["source_uid"] == ""
    assert story["rules"][1]["instances"][0]["fields"] == {"value": "pod-1"}
