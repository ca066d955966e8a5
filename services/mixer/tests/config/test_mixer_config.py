"""Resources to policy: what is compiled and resolved, what is quarantined, and with which words."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from mizzen.api.parse import parse
from mizzen.attributes.bag import DictBag
from mizzen.attributes.values import ValueType
from mizzen.mixer import templates
from mizzen.mixer.adapters.registry import find
from mizzen.mixer.config.config import Config, load
from mizzen.mixer.config.names import resolve
from mizzen.mixer.config.templates import TEMPLATES, Shape, Variety
from mizzen.mixer.expressions.errors import EvaluationError
from mizzen.mixer.verdict import HeaderAction

NOON = datetime(2018, 7, 31, 12, tzinfo=UTC)
DENY = """
kind: denier
metadata: {name: no}
---
kind: checknothing
metadata: {name: nothing}
---
"""


def config_of(text: str) -> Config:
    """The config of documents whose apiVersion is left out."""
    documents = textwrap.dedent(text).strip().split("\n---\n")
    whole = "\n---\n".join(
        f"apiVersion: config.istio.io/v1alpha2\n{document}" for document in documents if document.strip()
    )
    parsed = parse(whole, file="policy.yaml")
    assert not parsed.errors, parsed.errors
    return load(parsed.resources, find)


def lines(config: Config) -> list[str]:
    return [f"{problem.severity} {problem.resource} {problem.path}: {problem.message}" for problem in config.problems]


@pytest.mark.parametrize(
    ("reference", "known", "found"),
    [
        ("a.b.c", {"a.b.c"}, "a.b.c"),
        ("a.b.c", {"a.b.ns"}, None),
        ("a", {"a.handler.ns"}, "a.handler.ns"),
        ("a", {"a.handler.other"}, None),
        ("a.b", {"a.b.ns", "a.handler.b"}, "a.b.ns"),
        ("a.b", {"a.handler.b"}, "a.handler.b"),
        ("a.b.c.d", {"a.b.c"}, None),
        ("", {"a.handler.ns"}, None),
    ],
)
def test_references(reference, known, found):
    assert resolve(reference, "handler", "ns", known) == found


def test_templates_are_what_the_instances_are():
    assert TEMPLATES["logentry"].fields == {
        "variables": Shape.MAP, "timestamp": ValueType.TIMESTAMP, "severity": ValueType.STRING,
        "monitored_resource_type": ValueType.STRING, "monitored_resource_dimensions": Shape.MAP,
    }  # fmt: skip
    assert TEMPLATES["authorization"].fields["subject"]["properties"] is Shape.MAP
    assert TEMPLATES["kubernetes"].output["source_pod_ip"] is ValueType.IP_ADDRESS
    assert TEMPLATES["kubernetes"].output["destination_labels"] is ValueType.STRING_MAP
    assert len(TEMPLATES["kubernetes"].output) == 23
    assert {name for name, template in TEMPLATES.items() if template.variety is Variety.REPORT} == {
        "edge", "logentry", "metric", "reportnothing", "tracespan",
    }  # fmt: skip


def test_a_rule_of_istio_1_0():
    config = config_of(
        DENY
        + """
kind: rule
metadata: {name: deny-v3}
spec:
  match: destination.labels["app"] == "ratings" && source.labels["version"] == "v3"
  actions: [{handler: no.denier, instances: [nothing.checknothing]}]
"""
    )
    assert config.problems == ()
    (rule,) = config.rules
    assert (rule.name, rule.namespace) == ("deny-v3.rule.default", "default")
    labels = {"destination.labels": {"app": "ratings"}, "source.labels": {"version": "v3"}}
    assert rule.match.evaluate(DictBag(labels)) is True
    (action,) = rule.actions
    assert action.handler.name == action.handler.title == "no.denier.default"
    assert action.instances[0].build(DictBag({})) == templates.CheckNothing("nothing.checknothing.default")


def test_a_rule_of_istio_1_1():
    config = config_of(
        """
kind: handler
metadata: {name: kept, namespace: shop}
spec: {compiledAdapter: memquota, params: {quotas: [{name: count.instance.shop, maxAmount: 5}]}}
---
kind: instance
metadata: {name: count, namespace: shop}
spec: {compiledTemplate: quota, params: {dimensions: {user: source.user | "nobody"}}}
---
kind: rule
metadata: {name: count, namespace: shop}
spec:
  match: "true"
  actions: [{handler: kept, instances: [count], name: a}]
  requestHeaderOperations:
  - {name: X-User, values: [source.user, '"b"']}
  - {name: x-old, operation: REMOVE}
  responseHeaderOperations:
  - {name: server, values: ['"shop"'], operation: APPEND}
"""
    )
    assert config.problems == ()
    (rule,) = config.rules
    assert rule.match is None
    assert rule.actions[0].handler.title == "kept.shop"
    assert rule.actions[0].handler.params == {"quotas": [{"name": "count.instance.shop", "maxAmount": 5}]}
    assert [(edit.name, edit.action) for edit in rule.request_headers] == [
        ("x-user", HeaderAction.REPLACE),
        ("x-user", HeaderAction.REPLACE),
        ("x-old", HeaderAction.REMOVE),
    ]
    assert rule.response_headers[0].value.evaluate(DictBag({})) == "shop"


def test_an_adapter_outside_of_mixer():
    config = config_of(
        """
kind: adapter
metadata: {name: audit, namespace: istio-system}
spec: {templates: [logentry, metric.template.istio-system], session_based: true}
---
kind: handler
metadata: {name: far}
spec:
  adapter: audit.istio-system
  connection: {address: "127.0.0.1:50051"}
  params: {file: a}
---
kind: instance
metadata: {name: entry}
spec: {template: logentry, params: {severity: '"info"', variables: {n: 5}}}
---
kind: rule
metadata: {name: it}
spec: {actions: [{handler: far, instances: [entry]}]}
"""
    )
    assert config.problems == ()
    handler = config.handlers["far.handler.default"]
    assert handler.adapter.name == "remote"
    assert handler.templates == {"logentry", "metric"}
    taken = {"templates": ["logentry", "metric"], "sessionBased": True}
    assert handler.params == {**taken, "address": "127.0.0.1:50051", "params": {"file": "a"}}
    built = config.rules[0].actions[0].instances[0].build(DictBag({}))
    assert built == templates.LogEntry("entry.instance.default", {"n": 5}, severity="info")


def instance_of(text: str):
    (instance,) = config_of(text).instances.values()
    return instance


def test_fields_are_built_from_a_request():
    entry = instance_of(
        """
kind: logentry
metadata: {name: access}
spec:
  severity: '"Info"'
  timestamp: request.time
  variables: {code: response.code | 200, ip: source.ip, labels: source.labels, b: connection.mtls | false}
"""
    )
    bag = {"request.time": NOON, "source.ip": ip_address("1.2.3.4"), "source.labels": {"a": "b"}}
    assert entry.build(DictBag(bag)) == templates.LogEntry(
        "access.logentry.default",
        {"code": 200, "ip": ip_address("1.2.3.4"), "labels": {"a": "b"}, "b": False},
        timestamp=NOON,
        severity="Info",
    )
    assert entry.types["variables.code"] is ValueType.INT64
    assert entry.expressions["variables.code"] == "response.code | 200"


def test_fields_within_fields():
    instance = instance_of(
        """
kind: authorization
metadata: {name: who}
spec:
  subject: {user: source.user | "", properties: {ns: source.namespace}}
  action: {method: request.method}
"""
    )
    built = instance.build(DictBag({"source.namespace": "shop", "request.method": "GET"}))
    assert built == templates.Authorization(
        "who.authorization.default",
        templates.Subject(properties={"ns": "shop"}),
        templates.Action(method="GET"),
    )
    assert instance.types["subject.properties.ns"] is ValueType.STRING


def test_an_instance_without_attributes_is_built_once():
    instance = instance_of("kind: metric\nmetadata: {name: one}\nspec: {value: 1, dimensions: {a: '\"b\"'}}")
    assert instance.build(DictBag({})) is instance.build(DictBag({"source.ip": 1}))
    assert instance.build(DictBag({})) == templates.Metric("one.metric.default", 1, {"a": "b"})


def test_an_error_while_building_names_the_field():
    instance = instance_of("kind: quota\nmetadata: {name: q}\nspec: {dimensions: {a: '\"x\"', b: source.user}}")
    with pytest.raises(EvaluationError, match=r"instance q.quota.default: dimensions.b: lookup failed: 'source.user'"):
        instance.build(DictBag({}))


def test_bindings_of_a_generator():
    config = config_of(
        """
kind: kubernetes
metadata: {name: attributes}
spec:
  source_uid: source.uid | ""
  attribute_bindings:
    source.name: $out.source_pod_name | "unknown"
    source.labels: $out.source_labels | emptyStringMap()
    source.unheard: $out.source_pod_name
"""
    )
    (instance,) = config.instances.values()
    assert set(instance.bindings) == {"source.name", "source.labels"}
    assert instance.bindings["source.name"].evaluate(DictBag({"$out.source_pod_name": "pod"})) == "pod"
    (line,) = lines(config)
    assert line.startswith('warning kubernetes default/attributes spec.attributeBindings["source.unheard"]: ')
    assert line.endswith("source.unheard is declared in no attributemanifest; not bound")


def test_manifests_add_attributes():
    config = config_of(
        """
kind: attributemanifest
metadata: {name: shop}
spec:
  attributes:
    {shop.customer: {valueType: STRING}, source.ip: {valueType: IP_ADDRESS}, source.user: {valueType: INT64}}
---
kind: listentry
metadata: {name: customer}
spec: {value: shop.customer}
"""
    )
    assert config.vocabulary["shop.customer"] is ValueType.STRING
    assert config.vocabulary["source.user"] is ValueType.STRING
    assert "customer.listentry.default" in config.instances
    (line,) = lines(config)
    assert line.startswith('error attributemanifest default/shop spec.attributes["source.user"].valueType: ')
    assert line.endswith("source.user is declared as STRING already")


GOOD = "{actions: [{handler: no.denier, instances: [nothing.checknothing]}]}"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            "kind: rule\nmetadata: {name: bad}\nspec: {match: 'request.pth == \"a\"', " + GOOD[1:],
            "error rule default/bad spec.match: column 1: unknown attribute request.pth; did you mean request.path?",
        ),
        (
            "kind: rule\nmetadata: {name: bad}\nspec: {match: request.path, " + GOOD[1:],
            "error rule default/bad spec.match: must be an expression of type BOOL, 'request.path' is STRING",
        ),
        (
            "kind: rule\nmetadata: {name: bad}\nspec: {selector: '1 == \"a\"', " + GOOD[1:],
            'error rule default/bad spec.selector: column 6: EQ(1, "a") arg 2 ("a") typeError got STRING',
        ),
        (
            "kind: rule\nmetadata: {name: bad}\nspec: {actions: [{handler: gone, instances: [nothing.checknothing]}]}",
            "error rule default/bad spec.actions[0].handler: there is no handler gone in or from namespace default",
        ),
        (
            "kind: rule\nmetadata: {name: bad}\nspec: {actions: [{handler: no.denier, instances: [gone]}]}",
            "error rule default/bad spec.actions[0].instances[0]: there is no instance gone in or from",
        ),
        (
            "kind: handler\nmetadata: {name: bad}\nspec: {compiledAdapter: stackdriver}",
            "error handler default/bad spec.compiledAdapter: there is no adapter stackdriver",
        ),
        (
            "kind: handler\nmetadata: {name: bad}\nspec: {adapter: gone, connection: {address: 'a:1'}}",
            "error handler default/bad spec.adapter: there is no adapter gone; declared are: none",
        ),
        (
            "kind: metric\nmetadata: {name: bad}\nspec: {value: response.size, dimensions: {a: b}}",
            "error metric default/bad spec.dimensions.a: column 1: unknown attribute b",
        ),
        (
            "kind: logentry\nmetadata: {name: bad}\nspec: {severity: response.code}",
            "error logentry default/bad spec.severity: must be an expression of type STRING, 'response.code' is INT64",
        ),
        (
            "kind: instance\nmetadata: {name: bad}\nspec: {template: receipt, params: {}}",
            "error instance default/bad spec.template: there is no template receipt; there are apikey,",
        ),
        (
            "kind: instance\nmetadata: {name: bad}\nspec: {template: metric, params: {valeu: 1}}",
            'error instance default/bad spec.params.valeu: unknown field; did you mean "value"?',
        ),
        (
            "kind: instance\nmetadata: {name: bad}\nspec: {compiledTemplate: metric, params: {value: source.ipp}}",
            "error instance default/bad spec.params.value: column 1: unknown attribute source.ipp; did you mean",
        ),
        (
            "kind: servicecontrolreport\nmetadata: {name: bad}\nspec: {api_version: a}",
            "error servicecontrolreport default/bad spec: there is no template servicecontrolreport",
        ),
        (
            "kind: kubernetes\nmetadata: {name: bad}\nspec: {attribute_bindings: {source.name: $out.source_pod_ip}}",
            'error kubernetes default/bad spec.attributeBindings["source.name"]: must be an expression of type STRING',
        ),
    ],
)
def test_what_is_bad_is_quarantined_and_the_rest_works(document, expected):
    config = config_of(f"{DENY}{document}\n---\nkind: rule\nmetadata: {{name: good}}\nspec: {GOOD}")
    assert lines(config)[0].startswith(expected), lines(config)
    assert [rule.name for rule in config.rules] == ["good.rule.default"]
    (id_,) = config.quarantined
    assert id_.endswith(" default/bad")
    assert config.problems[0].source.file == "policy.yaml"
    assert config.problems[0].source.document > 1


def test_a_bad_action_leaves_the_others():
    config = config_of(
        DENY
        + """
kind: metric
metadata: {name: size}
spec: {value: request.size}
---
kind: rule
metadata: {name: it}
spec:
  actions:
  - {handler: gone, instances: [nothing.checknothing]}
  - {handler: no.denier, instances: [size.metric]}
  - {handler: no.denier, instances: [nothing.checknothing, nothing.checknothing, gone]}
"""
    )
    (rule,) = config.rules
    takes = "checknothing, listentry, quota"
    wrong_template = f"size.metric.default is of template metric, which no.denier.default does not take ({takes})"
    assert [len(action.instances) for action in rule.actions] == [1]
    assert config.quarantined == {}
    assert [line.partition("spec.")[2] for line in lines(config)] == [
        "actions[0].handler: there is no handler gone in or from namespace default",
        f"actions[1].instances[0]: {wrong_template}",
        "actions[1].instances: none of them can be used; the action is left out",
        "actions[2].instances[1]: nothing.checknothing.default stands twice in one action",
        "actions[2].instances[2]: there is no instance gone in or from namespace default",
    ]


NEAR = (
    DENY
    + """
kind: denier
metadata: {name: deny-all, namespace: istio-system}
---
kind: handler
metadata: {name: deny-all, namespace: prod}
spec: {compiledAdapter: denier}
---
kind: rule
metadata: {name: it}
spec: {actions: [{handler: HANDLER, instances: [INSTANCE]}]}
"""
)


@pytest.mark.parametrize(
    ("handler", "meant"),
    [
        ("no", "no.denier.default"),
        ("deny-all", "deny-all.handler.prod"),
        ("deny-all.denier", "deny-all.denier.istio-system"),
        ("deny-all.handler", "deny-all.handler.prod"),
        ("no.denier.prod", "no.denier.default"),
        ("deny_all.handler.prod", "deny-all.handler.prod"),
        ("dennyall.denier.istio-system", "deny-all.denier.istio-system"),
        ("Deny-All.denier.istio-system", "deny-all.denier.istio-system"),
        ("no.handler", "no.denier.default"),
    ],
)
def test_a_reference_to_nothing_names_what_may_be_meant(handler, meant):
    config = config_of(NEAR.replace("HANDLER", handler).replace("INSTANCE", "nothing.checknothing"))
    assert f"there is no handler {handler} in or from namespace default; did you mean {meant}?" in lines(config)[0]


def test_what_is_meant_is_of_the_kind_that_the_reference_is_to():
    config = config_of(NEAR.replace("HANDLER", "no.denier").replace("INSTANCE", "nothin.checknothing"))
    assert lines(config)[0].endswith("namespace default; did you mean nothing.checknothing.default?")
    config = config_of(NEAR.replace("HANDLER", "no.denier").replace("INSTANCE", "deny-all"))
    assert lines(config)[0].endswith("there is no instance deny-all in or from namespace default")


def test_a_reference_to_what_is_quarantined_says_why():
    config = config_of(
        """
kind: denier
metadata: {name: no}
---
kind: listentry
metadata: {name: who}
spec: {value: source.usr}
---
kind: rule
metadata: {name: it}
spec: {actions: [{handler: no.denier, instances: [who.listentry]}]}
"""
    )
    reason = "spec.value: column 1: unknown attribute source.usr; did you mean source.user?"
    found = f"instance who.listentry cannot be used: listentry default/who is left out ({reason})"
    assert f"error rule default/it spec.actions[0].instances[0]: {found}" in lines(config)
    assert set(config.quarantined) == {"listentry default/who", "rule default/it"}


def test_constants_without_value_are_warned_of():
    config = config_of('kind: listentry\nmetadata: {name: ip}\nspec: {value: source.ip | ip("10.1.12")}')
    (line,) = lines(config)
    assert line.startswith(
        "warning listentry default/ip spec.value: column 13: could not convert 10.1.12 to IP_ADDRESS;"
    )
    assert config.instances


def test_sampling_of_checks_is_warned_of():
    config = config_of(f"{DENY}kind: rule\nmetadata: {{name: it}}\nspec: {{sampling: {{random: {{}}}}, {GOOD[1:]}")
    assert lines(config) == [
        "warning rule default/it spec.sampling: is for reports only; checks and quotas are never left to chance"
    ]
    assert config.rules[0].sampling is not None


def test_a_rule_of_headers_alone():
    (rule,) = config_of(
        "kind: rule\nmetadata: {name: it}\nspec: {requestHeaderOperations: [{name: a, values: ['\"b\"']}]}"
    ).rules
    assert rule.actions == ()


NAMED = """
kind: handler
metadata: {name: mine}
spec: {compiledAdapter: python, params: {file: x.py}}
---
kind: rule
metadata: {name: it}
spec:
  actions:
  - {handler: mine, instances: [nothing.checknothing], name: x}
  - {handler: no.denier, instances: [nothing.checknothing], name: y}
  requestHeaderOperations: [{name: a, values: [VALUE]}]
"""


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("x.output.value", None),
        ("x.output.value | request.path", None),
        ("x.output.value.more", None),
        ("x.output", "unknown attribute x.output"),
        ("z.output.value", "unknown attribute z.output.value"),
        ("y.output.value", "unknown attribute y.output.value"),
        ('x.output.value["a"]', "typeError got STRING, expected STRING_MAP"),
    ],
)
def test_header_operations_may_read_the_outputs_of_named_actions(value, problem):
    config = config_of(DENY + NAMED.replace("VALUE", f"'{value}'"))
    (rule,) = config.rules
    assert [action.name for action in rule.actions] == ["x", ""], "a denier gives none"
    assert len(rule.request_headers) == (problem is None)
    assert ([] if problem is None else [problem]) == [problem for line in lines(config) if problem in line]
    assert len(lines(config)) == (problem is not None)


def test_only_header_operations_may_read_outputs():
    config = config_of(
        DENY
        + NAMED.replace("VALUE", "x.output.value").replace(
            "spec:\n  actions", 'spec:\n  match: x.output.value == "a"\n  actions'
        )
    )
    assert "unknown attribute x.output.value" in lines(config)[0]


def test_a_header_that_cannot_be_compiled_is_left_out():
    config = config_of(
        "kind: rule\nmetadata: {name: it}\nspec: "
        "{requestHeaderOperations: [{name: a, values: [request.size, '\"b\"']}]}"
    )
    (rule,) = config.rules
    assert len(rule.request_headers) == 1
    (line,) = lines(config)
    assert line.startswith(
        "error rule default/it spec.requestHeaderOperations[0].values[0]: must be an expression of type"
    )


def test_other_groups_are_not_mixers():
    parsed = parse("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}")
    assert load(parsed.resources, find) == Config(given={})
