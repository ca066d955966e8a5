"""Who gets a sidecar: the API server's selectors, then the injector's own rules, in Istio's order."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from mizzen.injector.injection.decision import decide
from mizzen.injector.injection.settings import read_settings
from mizzen.injector.injection.webhooks import selecting, webhooks

INJECT = "sidecar.istio.io/inject"

# policy, namespace, metadata, spec, injected, a word of the reason
DECISIONS: list[tuple[str, str, str, str, bool, str]] = [
    ("", "shop", "", "", True, "policy is enabled"),
    ("policy: disabled", "shop", "", "", False, "policy is disabled"),
    ("policy: sometimes", "shop", "", "", False, "policy is sometimes"),
    ("", "shop", "", "hostNetwork: true", False, "network of its node"),
    ("", "shop", "", "hostNetwork: false", True, "policy"),
    ("", "shop", f'labels: {{{INJECT}: "true"}}', "hostNetwork: true", False, "network of its node"),
    ("", "kube-system", "", "", False, "kube-system"),
    ("", "kube-public", "", "", False, "kube-public"),
    ("", "kube-node-lease", "", "", False, "kube-node-lease"),
    ("", "local-path-storage", "", "", False, "local-path-storage"),
    ("", "kube-system", f'labels: {{{INJECT}: "true"}}', "", False, "kube-system"),
    ("", "istio-system", "", "", True, "policy"),
    ("policy: disabled", "shop", f'labels: {{{INJECT}: "true"}}', "", True, f"label {INJECT}=true"),
    ("", "shop", f'labels: {{{INJECT}: "false"}}', "", False, f"label {INJECT}=false"),
    ("policy: disabled", "shop", f'annotations: {{{INJECT}: "true"}}', "", True, f"annotation {INJECT}=true"),
    ("", "shop", f'annotations: {{{INJECT}: "false"}}', "", False, f"annotation {INJECT}=false"),
    (
        "",
        "shop",
        f'labels: {{{INJECT}: "false"}}\nannotations: {{{INJECT}: "true"}}',
        "",
        False,
        f"label {INJECT}=false",
    ),
    (
        "",
        "shop",
        f'labels: {{{INJECT}: "true"}}\nannotations: {{{INJECT}: "false"}}',
        "",
        True,
        f"label {INJECT}=true",
    ),
    ("", "shop", f'labels: {{{INJECT}: ""}}\nannotations: {{{INJECT}: "false"}}', "", True, "policy"),
    ("", "shop", f'labels: {{{INJECT}: "yes"}}', "", True, "policy"),
    ("policy: disabled", "shop", f'labels: {{{INJECT}: "True"}}', "", False, "policy"),
    ("neverInjectSelector: [{matchLabels: {app: db}}]", "shop", "labels: {app: db}", "", False, "neverInjectSelector"),
    ("neverInjectSelector: [{matchLabels: {app: db}}]", "shop", "labels: {app: web}", "", True, "policy"),
    ("neverInjectSelector: [{}]", "shop", "labels: {app: web}", "", True, "policy"),
    (
        "neverInjectSelector: [{matchExpressions: [{key: job, operator: Exists}]}]",
        "shop",
        'labels: {job: "1"}',
        "",
        False,
        "neverInjectSelector",
    ),
    (
        "policy: disabled\nalwaysInjectSelector: [{matchLabels: {mesh: in}}]",
        "shop",
        "labels: {mesh: in}",
        "",
        True,
        "alwaysInjectSelector",
    ),
    (
        "neverInjectSelector: [{matchLabels: {a: x}}]\nalwaysInjectSelector: [{matchLabels: {a: x}}]",
        "shop",
        "labels: {a: x}",
        "",
        False,
        "neverInjectSelector",
    ),
    (
        "neverInjectSelector: [{matchLabels: {a: x}}]",
        "shop",
        f'labels: {{a: x, {INJECT}: "true"}}',
        "",
        True,
        f"label {INJECT}=true",
    ),
    (
        "alwaysInjectSelector: [{matchLabels: {a: x}}]",
        "shop",
        f'labels: {{a: x}}\nannotations: {{{INJECT}: "false"}}',
        "",
        False,
        f"annotation {INJECT}=false",
    ),
    (
        "neverInjectSelector: [{matchLabels: {a: x}}]",
        "shop",
        f"labels: {{a: x, {INJECT}: maybe}}",
        "",
        False,
        "neverInjectSelector",
    ),
]


@pytest.mark.parametrize(("policy", "namespace", "metadata", "spec", "injected", "reason"), DECISIONS)
def test_decision(policy: str, namespace: str, metadata: str, spec: str, injected: bool, reason: str) -> None:
    pod: dict[str, Any] = {"metadata": yaml.safe_load(metadata), "spec": yaml.safe_load(spec) or {}}
    decision = decide(pod, namespace, read_settings(policy=policy).policy)
    assert (decision.inject, reason in decision.reason) == (injected, True), decision


def test_a_value_that_is_neither_true_nor_false_is_told() -> None:
    pod = {"metadata": {"labels": {INJECT: "yes"}}, "spec": {}}
    assert 'must be "true" or "false", not "yes"' in decide(pod, "shop", read_settings().policy).warning
    assert decide({"spec": {}}, "shop", read_settings().policy).warning == ""


# revision of the injector, injected by default, labels of the namespace, of the Pod, prefix of the webhook
SELECTIONS: list[tuple[str, bool, dict[str, str], dict[str, str], str]] = [
    ("", False, {"istio-injection": "enabled"}, {}, "namespace."),
    ("", False, {"istio-injection": "enabled"}, {INJECT: "true"}, "namespace."),
    ("", False, {"istio-injection": "enabled"}, {INJECT: "false"}, ""),
    ("", False, {"istio-injection": "disabled"}, {INJECT: "true"}, ""),
    ("", False, {}, {INJECT: "true"}, "object."),
    ("", False, {}, {}, ""),
    ("", False, {}, {INJECT: "true", "istio.io/rev": "canary"}, ""),
    ("", False, {"istio.io/rev": "default"}, {}, "rev.namespace."),
    ("", False, {"istio.io/rev": "canary"}, {}, ""),
    ("", False, {"istio.io/rev": "canary"}, {INJECT: "true"}, ""),
    ("canary", False, {"istio.io/rev": "canary"}, {}, "rev.namespace."),
    ("canary", False, {"istio.io/rev": "canary"}, {INJECT: "false"}, ""),
    ("canary", False, {"istio.io/rev": "canary", "istio-injection": "enabled"}, {}, ""),
    ("", False, {"istio.io/rev": "canary", "istio-injection": "enabled"}, {}, "namespace."),
    ("canary", False, {}, {"istio.io/rev": "canary"}, "rev.object."),
    ("canary", False, {}, {"istio.io/rev": "canary", INJECT: "false"}, ""),
    ("canary", False, {"istio-injection": "disabled"}, {"istio.io/rev": "canary"}, ""),
    ("canary", False, {"istio-injection": "enabled"}, {}, ""),
    ("canary", False, {}, {INJECT: "true"}, ""),
    ("", False, {}, {"istio.io/rev": "default"}, "rev.object."),
    ("", True, {"kubernetes.io/metadata.name": "shop"}, {}, "auto."),
    ("", True, {"kubernetes.io/metadata.name": "kube-system"}, {}, ""),
    ("", True, {"kubernetes.io/metadata.name": "shop"}, {INJECT: "false"}, ""),
    ("", True, {"istio-injection": "disabled"}, {}, ""),
    ("canary", True, {"kubernetes.io/metadata.name": "shop"}, {}, ""),
]


@pytest.mark.parametrize(("revision", "by_default", "namespace", "pod", "prefix"), SELECTIONS)
def test_selectors(
    revision: str, by_default: bool, namespace: dict[str, str], pod: dict[str, str], prefix: str
) -> None:
    chosen = selecting(webhooks(revision, namespaces_by_default=by_default), namespace, pod)
    assert (chosen.name if chosen else "") == (f"{prefix}sidecar-injector.istio.io" if prefix else "")


def test_two_revisions_never_both_select() -> None:
    for _, by_default, namespace, pod, _ in SELECTIONS:
        ours = selecting(webhooks("", namespaces_by_default=by_default), namespace, pod)
        assert ours is None or selecting(webhooks("canary"), namespace, pod) is None
