"""Mixer's kinds: what their models read, and what must hold between their fields."""

from pathlib import Path

import pytest
import yaml

from mizzen.api.dump import to_dict
from mizzen.api.kinds import KINDS
from mizzen.api.mixer.handler import Parameters
from mizzen.api.mixer.kinds import ADAPTERS, GROUP, MODELS
from mizzen.api.mixer.rule import HeaderOperation, Rule
from mizzen.api.parse import parse

SAMPLE = Path(__file__).parent / "samples" / "mixer.yaml"
HEAD = {"apiVersion": "config.istio.io/v1alpha2", "metadata": {"name": "it", "namespace": "shop"}}


def resource_of(kind, **spec):
    (resource,) = parse(yaml.safe_dump({**HEAD, "kind": kind, "spec": spec})).resources
    return resource


def test_every_kind_of_the_group_is_known_by_its_own_name():
    assert {kind.name for kind in KINDS.values() if kind.group == GROUP} == set(MODELS)
    assert set(ADAPTERS) < set(MODELS)


def test_the_sample_covers_the_forms():
    kinds = {document["kind"] for document in yaml.safe_load_all(SAMPLE.read_text())}
    assert kinds >= {
        "rule", "attributemanifest", "handler", "instance", "adapter", "template", "QuotaSpec", "QuotaSpecBinding",
        "HTTPAPISpec", "HTTPAPISpecBinding",
    }  # fmt: skip


@pytest.mark.parametrize("kind", sorted(set(MODELS)))
@pytest.mark.parametrize("spec", ["", "spec:"])
def test_only_instances_and_handlers_named_like_their_template_or_adapter_may_be_empty(kind, spec):
    parsed = parse(f"apiVersion: config.istio.io/v1alpha2\nkind: {kind}\nmetadata: {{name: it}}\n{spec}")
    core = kind.endswith(("Spec", "Binding")) or kind in (
        "rule", "attributemanifest", "handler", "instance", "adapter", "template",
    )  # fmt: skip
    assert [str(problem.message) for problem in parsed.problems] == (["is required"] if core else [])


def test_parameters_are_kept_as_they_were_written():
    fields = {"overrides": ["v1"], "blacklist": False, "refresh_interval": "1s", "deep": {"a": [1, None]}}
    resource = resource_of("listchecker", **fields)
    assert isinstance(resource.spec, Parameters)
    assert resource.spec.values == fields
    assert to_dict(resource)["spec"] == fields


def test_expressions_that_are_constants_need_no_quotes():
    spec = resource_of("metric", value=1, dimensions={"tls": True, "half": 0.5, "text": "a | b"}).spec
    assert (spec.value, spec.dimensions) == ("1", {"tls": "true", "half": "0.5", "text": "a | b"})


def test_fields_have_two_spellings():
    rule = Rule.model_validate({"request_header_operations": [{"name": "a", "operation": "REMOVE"}]})
    assert rule.request_header_operations[0].operation is HeaderOperation.REMOVE
    assert resource_of("tracespan", httpStatusCode="response.code").spec.http_status_code == "response.code"
    assert resource_of("tracespan", trace_id="a", spanTags={"a": "b"}).spec.span_tags == {"a": "b"}


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("rule", "{match: 'a', selector: 'b'}", "spec.selector: is the old name of match; only one of them may be set"),
        ("rule", "{mtach: 'a'}", 'spec.mtach: unknown field; did you mean "match"?'),
        ("rule", "{actions: [{handlr: a}]}", 'spec.actions[0].handlr: unknown field; did you mean "handler"?'),
        (
            "rule",
            "{responseHeaderOperations: [{operation: APPEND, values: [a]}]}",
            "spec.responseHeaderOperations[0].name: is required: the header",
        ),
        (
            "rule",
            "{requestHeaderOperations: [{name: a}]}",
            "spec.requestHeaderOperations[0].values: needs at least one expression for REPLACE",
        ),
        (
            "rule",
            "{requestHeaderOperations: [{name: a, operation: DROP}]}",
            "spec.requestHeaderOperations[0].operation: must be one of REPLACE, REMOVE, APPEND, got 'DROP'",
        ),
        ("handler", "{params: {}}", "exactly one of compiledAdapter and adapter must be set"),
        ("handler", "{adapter: a}", "spec.connection: is required: where the adapter listens"),
        ("handler", "{adapter: a, connection: {}}", "spec.connection.address: is required"),
        (
            "handler",
            "{adapter: a, connection: {address: a, authentication: {tls: {}, mutual: {}}}}",
            "spec.connection.authentication: only one of tls, mutual may be set, found tls and mutual",
        ),
        ("instance", "{compiledTemplate: a, template: b}", "exactly one of compiledTemplate and template must be set"),
        ("instance", "{compiledTemplate: metrics}", "there is no template 'metrics'; did you mean \"metric\"?"),
        (
            "instance",
            "{compiledTemplate: metric, params: {valeu: '1'}}",
            'spec.params.valeu: unknown field; did you mean "value"?',
        ),
        ("metric", "{value: [1]}", "spec.value: must be text, got a list"),
        ("logentry", "{variabels: {}}", 'spec.variabels: unknown field; did you mean "variables"?'),
        (
            "attributemanifest",
            "{attributes: {a: {valueType: TEXT}}}",
            "spec.attributes.a.valueType: must be one of STRING, INT64, DOUBLE, BOOL, TIMESTAMP, IP_ADDRESS, EMAIL",
        ),
        ("attributemanifest", "{attributes: {a: {}}}", "spec.attributes.a.valueType: is required"),
        ("attributemanifest", "{attributes: {'a b': {valueType: STRING}}}", "'a b' is not an attribute"),
        ("adapter", "{config: a}", "spec.templates: needs at least one template"),
        ("template", "{name: a}", "spec.descriptor: is required"),
        ("QuotaSpec", "{rules: []}", "spec.rules: needs at least one rule"),
        ("QuotaSpec", "{rules: [{}]}", "spec.rules[0].quotas: needs at least one quota"),
        (
            "QuotaSpec",
            "{rules: [{quotas: [{quota: a, charge: -1}]}]}",
            "spec.rules[0].quotas[0].charge: must be at least 0, got -1",
        ),
        (
            "QuotaSpec",
            "{rules: [{match: [{clause: {a: {exact: b, prefix: c}}}], quotas: [{quota: a}]}]}",
            "only one of exact, prefix, regex may be set",
        ),
        ("QuotaSpecBinding", "{services: [{name: a}]}", "spec.quotaSpecs: needs at least one spec"),
        ("QuotaSpecBinding", "{quotaSpecs: [{name: a}]}", "spec.services: needs at least one service"),
        (
            "QuotaSpecBinding",
            "{quotaSpecs: [{name: a}], services: [{service: '*.a'}]}",
            "spec.services[0].service: '*.a' is not the name of a service; '*' or '*.<namespace>.*' are possible",
        ),
        (
            "HTTPAPISpecBinding",
            "{apiSpecs: [{name: a}], services: [{service: '*'}]}",
            "spec.services[0].service: '*' is not the name of a service",
        ),
        ("HTTPAPISpec", "{patterns: [{httpMethod: GET}]}", "exactly one of uriTemplate and regex must be set"),
        ("HTTPAPISpec", "{patterns: [{regex: a}]}", "spec.patterns[0].httpMethod: is required"),
        ("HTTPAPISpec", "{apiKeys: [{}]}", "spec.apiKeys[0]: exactly one of query, header and cookie must be set"),
    ],
)
def test_mistakes_are_errors(problems_of, kind, spec, expected):
    lines = problems_of(kind, spec)
    assert any(expected in line and not line.startswith("warning") for line in lines), lines


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{actions: [{instances: [a]}]}", "warning spec.actions[0].handler: is required"),
        ("{actions: [{handler: a}]}", "warning spec.actions[0].instances: needs at least one instance"),
        ("{match: 'a'}", "warning spec.actions: the rule has neither actions nor header operations"),
        ("{actions: [{handler: a.b.c.d, instances: [a]}]}", "warning spec.actions[0].handler: 'a.b.c.d' is not name"),
        ("{actions: [{handler: a, instances: [a..b]}]}", "warning spec.actions[0].instances[0]: 'a..b' is not name"),
        (
            "{requestHeaderOperations: [{name: a, operation: REMOVE, values: [b]}]}",
            "warning spec.requestHeaderOperations[0].values: have no effect on REMOVE",
        ),
    ],
)
def test_what_only_an_action_suffers_from_is_a_warning(problems_of, spec, expected):
    (line,) = problems_of("rule", spec)
    assert line.startswith(expected)
