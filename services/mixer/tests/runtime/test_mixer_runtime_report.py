"""Reports: batches, errors on the way, and sampling."""

from __future__ import annotations

from datetime import timedelta

import pytest
from runtime_support import Script, resource, rule, together

from mizzen.api.mixer.rule import Sampling
from mizzen.attributes.bag import DictBag
from mizzen.attributes.vocabulary import ISTIOPROXY
from mizzen.mixer.config.rules import SamplingConfig
from mizzen.mixer.expressions.expression import compile_expression
from mizzen.mixer.runtime.sampling import Sampler
from mizzen.mixer.templates import Metric
from mizzen.mixer.verdict import PolicyError

BASE = together(
    resource("noop", "a"),
    resource("noop", "b"),
    resource("metric", "size", "{value: request.size}"),
    resource("metric", "one", "{value: 1}"),
    resource("logentry", "entry", "{severity: '\"Info\"'}"),
)


def sizes(instances):
    return [instance.value for instance in instances if isinstance(instance, Metric)]


async def test_a_handler_is_called_once_for_all_instances_of_one_template(start):
    probe = await start(
        together(
            BASE,
            rule("r", "a: size.metric one.metric", "b: entry.logentry size.metric"),
            rule("s", "a: size.metric", match="request.size == 2"),
        )
    )
    await probe.report({"request.size": 1}, {"request.size": 2})
    assert [(name, len(instances)) for name, instances in probe.script.reported] == [("a", 5), ("b", 2), ("b", 2)]
    assert sizes(probe.script.reported[0][1]) == [1, 1, 2, 1, 2]


async def test_nothing_to_report_calls_nobody(start):
    probe = await start(together(BASE, rule("r", "a: size.metric", match="request.size == 2")))
    await probe.report({"request.size": 1}, {})
    await probe.report()
    assert probe.script.reported == []


async def test_errors_stop_nothing_else_and_are_told_in_the_end(start):
    def fails(instances):
        raise OSError("disk full")

    script = Script(reports={"a": fails})
    probe = await start(together(BASE, rule("r", "a: one.metric", "b: size.metric")), script)
    with pytest.raises(PolicyError) as error:
        await probe.report({"request.size": 1}, {}, {"request.size": 3})
    assert str(error.value) == (
        "instance size.metric.istio-system: value: lookup failed: 'request.size'; a.noop.istio-system: disk full"
    )
    assert sizes(script.reported[1][1]) == [1, 3]


async def test_many_errors_are_counted(start):
    probe = await start(together(BASE, rule("r", "a: size.metric")))
    with pytest.raises(PolicyError, match=r"and 15 more errors$"):
        await probe.report(*[{}] * 25)


async def test_requests_are_judged_by_the_rules_of_their_own_namespace(start):
    probe = await start(
        together(BASE, rule("r", "a: one.metric", namespace="shop").replace("one.metric", "one.metric.istio-system"))
    )
    await probe.report({"destination.namespace": "shop"}, {"destination.namespace": "bank"})
    assert [len(instances) for _, instances in probe.script.reported] == [1]


async def test_a_sampled_rule_reports_on_some(start):
    sampling = "{random: {percentSampled: {numerator: 50}}}"
    probe = await start(together(BASE, rule("r", "a: one.metric", sampling=sampling)))
    ids = [f"{number:08x}-0000" for number in range(100)]
    await probe.report(*[{"request.headers": {"x-request-id": id_}} for id_ in ids])
    assert [len(instances) for _, instances in probe.script.reported] == [50]


def sampler(spec, numerator=None, now=lambda: 0.0, chance=lambda: 0.5):
    expression = compile_expression(numerator, ISTIOPROXY) if numerator else None
    return Sampler(SamplingConfig(Sampling.model_validate(spec), expression), now, chance)


@pytest.mark.parametrize(
    ("spec", "numerator", "attributes", "taken"),
    [
        ({"random": {}}, None, {}, False),
        ({"random": {"percentSampled": {"numerator": 51}}}, None, {}, True),
        ({"random": {"percentSampled": {"numerator": 50}}}, None, {}, False),
        ({"random": {"percentSampled": {"numerator": 51, "denominator": "TEN_THOUSAND"}}}, None, {}, False),
        (
            {"random": {"percentSampled": {"numerator": 10}}},
            None,
            {"request.headers": {"x-request-id": "00000009-"}},
            True,
        ),
        (
            {"random": {"percentSampled": {"numerator": 9}}},
            None,
            {"request.headers": {"x-request-id": "00000009-"}},
            False,
        ),
        (
            {"random": {"percentSampled": {"numerator": 100}}},
            None,
            {"request.headers": {"x-request-id": "no uuid"}},
            True,
        ),
        (
            {"random": {"percentSampled": {"numerator": 10}, "useIndependentRandomness": True}},
            None,
            {"request.headers": {"x-request-id": "00000009-"}},
            False,
        ),
        ({"random": {"attributeExpression": "request.size"}}, "request.size", {"request.size": 51}, True),
        ({"random": {"attributeExpression": "request.size"}}, "request.size", {"request.size": 50}, False),
        ({"random": {"attributeExpression": "request.size"}}, "request.size", {}, False),
        ({"random": {"attributeExpression": "request.path"}}, "request.path", {"request.path": "90"}, False),
        ({}, None, {}, True),
    ],
)
def test_a_random_share(spec, numerator, attributes, taken):
    assert sampler(spec, numerator).takes(DictBag(attributes)) is taken


def test_a_limit_by_rate():
    now = [0.0]
    limited = sampler(
        {"rateLimit": {"samplingDuration": timedelta(seconds=10), "maxUnsampledEntries": 2, "samplingRate": 3}},
        now=lambda: now[0],
    )
    assert [limited.takes(DictBag({})) for _ in range(8)] == [True, True, False, False, True, False, False, True]
    now[0] = 10.0
    assert limited.takes(DictBag({}))


def test_a_limit_without_a_rate_takes_nothing_more():
    limited = sampler({"rateLimit": {"samplingDuration": timedelta(seconds=10), "maxUnsampledEntries": 1}})
    assert [limited.takes(DictBag({})) for _ in range(3)] == [True, False, False]


async def test_what_reports_may_read(start):
    generator = resource(
        "kubernetes", "pods", "{source_uid: source.uid, attribute_bindings: {source.name: destination.name}}"
    )
    labels = rule("r", "a: size.metric", match='source.labels["app"] == "a"', namespace="shop")
    probe = await start(
        together(
            BASE,
            generator,
            rule("gen", "a: pods.kubernetes", match="check.cache_hit"),
            labels.replace("size.metric", "size.metric.istio-system"),
            resource("checknothing", "nothing"),
            rule("c", "a: nothing.checknothing", match="request.path == request.host"),
        )
    )
    always = {"context.reporter.kind", "source.namespace", "destination.namespace"}
    generated = {"source.uid", "destination.name", "check.cache_hit"}
    assert probe.engine.report_reads == always | generated | {"request.size", "source.labels"}


async def test_a_sampler_reads_too(start):
    sampling = "{random: {attributeExpression: response.code}}"
    probe = await start(together(BASE, rule("r", "a: one.metric", sampling=sampling)))
    assert {"response.code", "request.headers"} < probe.engine.report_reads
