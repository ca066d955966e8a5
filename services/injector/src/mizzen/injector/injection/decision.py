"""Whether a Pod gets a sidecar, and why: Istio's rules in Istio's order, the first that applies decides."""

from __future__ import annotations

from dataclasses import dataclass

from mizzen.injector.injection.names import INJECT, Object
from mizzen.injector.injection.pods import annotations_of, labels_of
from mizzen.injector.injection.settings import Policy
from mizzen.injector.injection.webhooks import IGNORED_NAMESPACES


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes or no, with the rule that decided."""

    inject: bool
    reason: str
    warning: str = ""
    """Something in the Pod that had no effect on the decision, though its author meant it to."""


def decide(pod: Object, namespace: str, policy: Policy) -> Decision:
    """Decide for a Pod that a webhook selected (`webhooks.py`) or that was given to `mizzen kube-inject`."""
    if pod["spec"].get("hostNetwork"):
        return Decision(False, "the Pod uses the network of its node (spec.hostNetwork)")
    if namespace in IGNORED_NAMESPACES:
        return Decision(False, f"Pods of the namespace {namespace} are never injected")
    place, said = _wish(pod)
    if said in ("true", "false"):
        return Decision(said == "true", f"the Pod has the {place} {INJECT}={said}")
    warning = f'the {place} {INJECT} must be "true" or "false", not "{said}"; it is ignored' if said else ""
    return _by_policy(pod, policy, warning)


def _by_policy(pod: Object, policy: Policy, warning: str) -> Decision:
    labels = labels_of(pod)
    # A selector without conditions would match everything; Istio takes it for a mistake and skips it.
    if any(not selector.empty and selector.matches(labels) for selector in policy.never_inject_selector):
        return Decision(False, "the Pod's labels match neverInjectSelector", warning)
    if any(not selector.empty and selector.matches(labels) for selector in policy.always_inject_selector):
        return Decision(True, "the Pod's labels match alwaysInjectSelector", warning)
    return Decision(policy.policy == "enabled", f"the injector's policy is {policy.policy}", warning)


def _wish(pod: Object) -> tuple[str, str]:
    """Where the Pod says what it wants, and what. A label wins over an annotation, also one with an empty value."""
    labels = labels_of(pod)
    if INJECT in labels:
        return "label", labels[INJECT]
    return "annotation", annotations_of(pod).get(INJECT, "")
