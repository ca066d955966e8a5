"""Recipes: what is kept of one request gives every other one exactly what it would get without."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runtime_support import Script, resource, rule, together

from mizzen.attributes.vocabulary import ISTIOPROXY, KUBERNETES
from mizzen.mixer.expressions.expression import compile_expression
from mizzen.mixer.runtime import recipes
from mizzen.mixer.runtime.plan import Rules
from mizzen.mixer.runtime.recipes import Recipes
from mizzen.mixer.templates import NO_TIME
from mizzen.mixer.verdict import PolicyError

GENERATOR = """
kind: kubernetes
metadata: {name: pods, namespace: istio-system}
spec:
  source_uid: source.uid | ""
  destination_port: destination.port | 0
  attribute_bindings:
    source.name: $out.source_pod_name
    source.labels: $out.source_labels | emptyStringMap()
    source.namespace: $out.source_namespace | "default"
"""
COUNT = """
kind: metric
metadata: {name: count, namespace: istio-system}
spec:
  value: 1
  dimensions:
    app: source.labels["app"] | "unknown"
    version: source.labels["version"]
    code: response.code | 200
    name: source.name | "none"
    cached: check.cache_hit
"""
SIZE = """
kind: metric
metadata: {name: size, namespace: istio-system}
spec:
  value: request.size
  dimensions:
    team: request.headers["x-team"] | "none"
    principal: source.principal | destination.principal
    code: response.code
"""
ENTRY = """
kind: logentry
metadata: {name: entry, namespace: istio-system}
spec:
  severity: conditional(response.code >= 500, "Error", "Info")
  timestamp: request.time
  variables: {path: request.path | "", app: 'source.labels["app"]', label: 'source.labels[request.path]'}
"""
LIMIT = "{rateLimit: {samplingDuration: 1000s, maxUnsampledEntries: 1, samplingRate: 2}}"
POLICY = together(
    *(resource("noop", name) for name in "kabcd"),
    GENERATOR,
    COUNT,
    SIZE,
    ENTRY,
    resource("metric", "one", "{value: 1}"),
    rule("gen", "k: pods.kubernetes", match='destination.port != 7 || source.principal == "x"'),
    rule("r1", "a: count.metric size.metric", match='source.labels["app"] == "shop"'),
    rule("r2", "b: entry.logentry one.metric", match='request.path == "/" || response.code == 200'),
    rule("r3", "c: size.metric", match='source.principal != "y"'),
    rule("r4", "d: one.metric", match='source.name == "pod-b"', sampling=LIMIT),
    rule("r5", "a: one.metric.istio-system", namespace="shop", match="check.cache_hit"),
)
PODS = {
    "a": {"source_pod_name": "pod-a", "source_labels": {"app": "shop", "version": "1"}, "source_namespace": "shop"},
    "b": {"source_pod_name": "pod-b", "source_labels": {"app": "bank"}},
    "c": {},
}


def some(*values):
    return st.sampled_from(values)


STEADY = {
    "source.uid": some("a", "b", "c", 1),
    "source.name": some("mine", {"a": "map"}),
    "source.namespace": some("shop", 7),
    "source.labels": some({}, {"app": "shop"}, {"app": "", "version": "2"}, "no map"),
    "source.principal": some("x", "y", True),
    "destination.namespace": some("shop", "bank"),
    "destination.port": some(7, 1, True, 1.0),
    "context.reporter.kind": some("inbound", "outbound"),
    "response.code": some(200, 1, True, 1.0, 503, "503"),
    "check.cache_hit": some(True, False, 1, 0, 1.0),
}
VARIED = {
    "request.path": some("/", "app", 3),
    "request.size": some(1, 2, "3"),
    "request.headers": some({}, {"x-team": "a"}),
    "request.time": some(NO_TIME),
    "response.headers": some({}, {"server": "a"}),
    "destination.service": some("a", "b"),
}


@st.composite
def requests(draw):
    """Batches, where requests often have nearly all attributes in common."""
    steady = draw(st.lists(st.fixed_dictionaries({}, optional=STEADY), min_size=1, max_size=2))
    other = {name: draw(values) for name, values in STEADY.items()}
    request = st.builds(
        lambda one, changed, varied: {**one, **{name: other[name] for name in changed}, **varied},
        st.sampled_from(steady),
        st.sets(st.sampled_from(sorted(STEADY)), max_size=1),
        st.fixed_dictionaries({}, optional=VARIED),
    )
    return draw(st.lists(st.lists(request, max_size=5), max_size=3))


def script(revision=None):
    return Script(answers={"k": lambda instance: PODS.get(instance.source_uid, PODS["c"])}, revision=revision)


def without_what_nobody_reads(probe, batches):
    reads = probe.engine.report_reads
    return [
        [{name: value if name in reads else {} for name, value in request.items()} for request in batch]
        for batch in batches
    ]


async def told(probe, batches):
    """Everything that can be seen of reports."""
    errors = []
    for batch in batches:
        try:
            await probe.report(*batch)
        except PolicyError as error:
            errors.append(str(error))
    troubles = {rule["name"]: rule.get("trouble") for rule in probe.engine.show_rules()}
    return [repr(probe.script.reported), errors, repr(troubles), repr(probe.engine.loads)]


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests())
async def test_reports_are_the_same_with_and_without(start, batches):
    plain, kept = await start(POLICY, script()), await start(POLICY, script(revision=1))
    assert await told(plain, batches) == await told(kept, without_what_nobody_reads(kept, batches))


async def count_of_calls(start, revision, *requests):
    calls = []
    probe = await start(
        POLICY, Script(answers={"k": lambda instance: calls.append(instance) or PODS["a"]}, revision=revision)
    )
    for request in requests:
        await probe.report(request, request)
    return len(calls), probe


KNOWN = {
    "source.uid": "a",
    "source.principal": "z",
    "destination.port": 1,
    "response.code": 200,
    "check.cache_hit": True,
    "request.size": 1,
    "request.time": NO_TIME,
}


async def test_a_generator_is_asked_once_for_requests_that_are_alike(start):
    alike = [{**KNOWN, "request.size": size, "request.path": "/"} for size in range(5)]
    assert (await count_of_calls(start, 1, *alike))[0] == 1
    assert (await count_of_calls(start, 1, *alike, KNOWN | {"source.uid": "b"}))[0] == 2


async def test_a_generator_that_says_nothing_of_its_answers_is_asked_each_time(start):
    assert (await count_of_calls(start, None, KNOWN, KNOWN))[0] == 4


async def test_a_generator_is_asked_anew_when_its_answers_change(start):
    asked, probe = await count_of_calls(start, 1, KNOWN)
    probe.script.answers["k"] = lambda instance: {**PODS["a"], "source_labels": {"app": "shop", "version": "9"}}
    await probe.report(KNOWN)
    probe.script.revision = 2
    await probe.report(KNOWN)
    versions = [
        instance.dimensions["version"]
        for name, instances in probe.script.reported
        for instance in instances
        if instance.name.startswith("count")
    ]
    assert (asked, versions) == (1, ["1", "1", "1", "9"])


async def test_errors_of_a_match_are_counted_for_every_request(start):
    probe = await start(
        together(
            resource("noop", "a"),
            resource("metric", "one", "{value: 1}"),
            rule("r", "a: one.metric", match="check.cache_hit"),
        )
    )
    await probe.report({}, {}, {"check.cache_hit": True})
    await probe.report({})
    assert probe.engine._plan.troubles["r.rule.istio-system"].count == 3


@pytest.mark.parametrize(
    ("text", "is_steady"),
    [
        ("source.uid", True),
        ('source.labels["app"] | "unknown"', True),
        ("source.labels[source.uid]", False),
        ("response.code + 1 == 2", True),
        ("response.duration", False),
        ("context.time", False),
        ('request.headers["a"]', False),
        ("source.uid.startsWith(request.path)", False),
        ('match(source.uid, "a*") && source.ip == ip("1.2.3.4")', True),
        ("1", True),
    ],
)
def test_what_is_steady(text, is_steady):
    assert compile_expression(text, ISTIOPROXY | KUBERNETES).is_steady is is_steady


def test_recipes_that_are_of_no_use_are_given_up_for_a_while(monkeypatch):
    monkeypatch.setattr(recipes, "MOST", 3)
    monkeypatch.setattr(recipes, "REST", 10)
    kept = Recipes([Rules()])
    for number in range(4):
        known = kept.begin(1)
        assert known is not None
        known[number] = None
    assert [kept.begin(5), kept.begin(5), kept.begin(5)] == [None, None, {3: None}]
