"""What proxies see of Mixer's configuration."""

from collections.abc import Callable
from typing import Any

import pytest

RULE = """
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {{name: r, namespace: istio-system}}
spec: {{actions: [{{handler: h, instances: [{reference}]}}]}}
"""
INSTANCES = """
apiVersion: config.istio.io/v1alpha2
kind: listentry
metadata: {name: version, namespace: istio-system}
spec: {value: 'source.labels["version"]'}
---
apiVersion: config.istio.io/v1alpha2
kind: logentry
metadata: {name: line, namespace: istio-system}
spec: {variables: {who: 'request.headers["End-User"] | "nobody"', what: 'response.headers["server"]'}}
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: limit, namespace: other}
spec: {compiledTemplate: quota}
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: count, namespace: istio-system}
spec: {compiledTemplate: metric}
"""
BINDING = """
apiVersion: config.istio.io/v1alpha2
kind: QuotaSpec
metadata: {{name: count}}
spec: {{rules: [{{quotas: [{{quota: requestcount}}]}}]}}
---
apiVersion: config.istio.io/v1alpha2
kind: QuotaSpecBinding
metadata: {{name: b}}
spec: {{quotaSpecs: [{{name: {name}}}], services: [{service}]}}
"""


@pytest.mark.parametrize(
    ("reference", "decides"),
    [
        ("version.listentry", True),
        ("version.listentry.istio-system", True),
        ("limit.other", True),
        ("limit.instance.other", True),
        ("limit", False),  # there is none in the rule's namespace
        ("line.logentry", False),
        ("count", False),
        ("absent.checknothing", False),
    ],
)
def test_a_rule_decides_when_an_instance_is_of_a_template_that_does(
    world: Callable[..., Any], reference: str, decides: bool
) -> None:
    assert world(RULE.format(reference=reference), INSTANCES).mesh.policy.decides is decides


def test_a_rule_that_edits_headers_decides(world: Callable[..., Any]) -> None:
    text = """
    apiVersion: config.istio.io/v1alpha2
    kind: rule
    metadata: {name: r}
    spec: {requestHeaderOperations: [{name: x-user, values: ['"a"']}]}
    """
    assert world(text).mesh.policy.decides


def test_headers_that_expressions_read_are_known(world: Callable[..., Any]) -> None:
    policy = world(INSTANCES).mesh.policy
    assert (policy.request_headers, policy.response_headers) == (("end-user",), ("server",))


@pytest.mark.parametrize(
    ("service", "host", "bound"),
    [
        ("{name: web}", "web.default.svc.cluster.local", True),
        ("{name: web}", "web.other.svc.cluster.local", False),
        ("{name: web, namespace: other}", "web.other.svc.cluster.local", True),
        ("{name: web, namespace: other, domain: svc.example}", "web.other.svc.example", True),
        ("{service: api.example.com}", "api.example.com", True),
        ('{service: "*"}', "api.example.com", True),
        ('{service: "*.other.*"}', "web.other.svc.cluster.local", True),
        ('{service: "*.other.*"}', "web.another.svc.cluster.local", False),
    ],
)
def test_specs_are_bound_by_the_names_of_services(
    world: Callable[..., Any], service: str, host: str, bound: bool
) -> None:
    made = world(BINDING.format(name="count", service=service))
    assert bool(made.mesh.policy.quotas_of(host)) is bound
    assert not made.problems


def test_a_binding_to_a_spec_that_does_not_exist_is_told(world: Callable[..., Any]) -> None:
    [missing] = world(BINDING.format(name="other", service="{name: web}")).problems
    assert "QuotaSpec default/other does not exist" in missing


def test_a_spec_with_a_value_of_another_type_is_told_and_left_out(world: Callable[..., Any]) -> None:
    made = world("""
    apiVersion: config.istio.io/v1alpha2
    kind: HTTPAPISpec
    metadata: {name: api}
    spec: {attributes: {attributes: {request.time: {timestampValue: noon}}}}
    ---
    apiVersion: config.istio.io/v1alpha2
    kind: HTTPAPISpecBinding
    metadata: {name: b}
    spec: {apiSpecs: [{name: api}], services: [{name: web}]}
    """)
    [problem] = made.problems
    assert "HTTPAPISpec default/api has a value that is not of its type" in problem
    assert not made.mesh.policy.apis_of("web.default.svc.cluster.local")
