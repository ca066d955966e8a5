"""Which Pods the API server sends to the injector: Istio's five webhooks as values.

The chart installs these selectors; `selecting` evaluates them, for explanations and tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mizzen.injector.injection.names import INJECT, NAMESPACE_LABEL, REVISION
from mizzen.injector.injection.selector import LabelSelector, Operator, Requirement

IGNORED_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "local-path-storage")
DEFAULT_REVISION = "default"
_SUFFIX = "sidecar-injector.istio.io"


@dataclass(frozen=True, slots=True)
class Webhook:
    """One entry of the MutatingWebhookConfiguration: a Pod is sent when both selectors match."""

    name: str
    namespace: LabelSelector
    pod: LabelSelector
    meaning: str
    """Why it selects, in words for people."""


def webhooks(revision: str = "", *, namespaces_by_default: bool = False) -> tuple[Webhook, ...]:
    """The webhooks of an injector; those of the default revision ("" or "default") also serve `istio-injection`."""
    named = revision or DEFAULT_REVISION
    not_refused = _all(_is(INJECT, "NotIn", "false"))
    unlabelled = (_is(NAMESPACE_LABEL, "DoesNotExist"), _is(REVISION, "DoesNotExist"))
    by_revision = (
        Webhook(
            f"rev.namespace.{_SUFFIX}",
            _all(_is(REVISION, "In", named), _is(NAMESPACE_LABEL, "DoesNotExist")),
            not_refused,
            f"the namespace has the label {REVISION}={named}",
        ),
        Webhook(
            f"rev.object.{_SUFFIX}",
            _all(*reversed(unlabelled)),
            _all(_is(INJECT, "NotIn", "false"), _is(REVISION, "In", named)),
            f"the Pod has the label {REVISION}={named}",
        ),
    )
    if named != DEFAULT_REVISION:
        return by_revision
    by_label = (
        Webhook(
            f"namespace.{_SUFFIX}",
            _all(_is(NAMESPACE_LABEL, "In", "enabled")),
            not_refused,
            f"the namespace has the label {NAMESPACE_LABEL}=enabled",
        ),
        Webhook(
            f"object.{_SUFFIX}",
            _all(*unlabelled),
            _all(_is(INJECT, "In", "true"), _is(REVISION, "DoesNotExist")),
            f"the Pod has the label {INJECT}=true",
        ),
    )
    if not namespaces_by_default:
        return by_revision + by_label
    known_name = _is("kubernetes.io/metadata.name", "NotIn", *IGNORED_NAMESPACES)
    automatic = Webhook(
        f"auto.{_SUFFIX}",
        _all(*unlabelled, known_name),
        _all(_is(INJECT, "DoesNotExist"), _is(REVISION, "DoesNotExist")),
        "namespaces are injected by default, and neither the namespace nor the Pod says otherwise",
    )
    return (*by_revision, *by_label, automatic)


def selecting(
    candidates: tuple[Webhook, ...], namespace_labels: Mapping[str, str], pod_labels: Mapping[str, str]
) -> Webhook | None:
    """The webhook to which the API server would send the Pod."""
    return next(
        (hook for hook in candidates if hook.namespace.matches(namespace_labels) and hook.pod.matches(pod_labels)), None
    )


def _is(key: str, operator: Operator, *values: str) -> Requirement:
    return Requirement(key=key, operator=operator, values=values)


def _all(*requirements: Requirement) -> LabelSelector:
    return LabelSelector(match_expressions=requirements)
