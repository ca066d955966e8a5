"""Configuration that the API server has checked before it stores it, by the chart's webhook, over TLS."""

from __future__ import annotations

from typing import Any

import pytest
from kube.harness.injector import Injector
from support.kube.cluster import Cluster, Object, Refused, template, until

from mizzen.kubernetes.collections import CONFIG


@pytest.fixture(scope="module")
def checked(injector: Injector) -> Injector:
    """From when nothing passes unchecked."""
    until("checks are known to work", lambda: {hook["failurePolicy"] for hook in injector.hooks} == {"Fail"})
    return injector


def _virtual_service(namespace: str, *weights: int, **labels: str) -> Object:
    metadata: dict[str, Any] = {"name": "reviews", "namespace": namespace, "labels": labels}
    routes = [{"destination": {"host": f"reviews-{weight}"}, "weight": weight} for weight in weights]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": metadata,
        "spec": {"hosts": ["reviews"], "http": [{"route": routes}]},
    }


@pytest.mark.parametrize("labels", [{}, {"istio.io/rev": "default"}], ids=str)
def test_kube_a_mistake_is_refused_with_its_place(
    cluster: Cluster, checked: Injector, namespace: str, labels: dict[str, str]
) -> None:
    with pytest.raises(Refused, match=r"denied the request: VirtualService .*/reviews: spec\.http\[0\]\.route"):
        cluster.apply(_virtual_service(namespace, 0, 0, **labels))
    assert cluster.names("virtualservices", "--namespace", namespace) == set()


def test_kube_other_revisions_check_their_own(cluster: Cluster, checked: Injector, namespace: str) -> None:
    cluster.apply(_virtual_service(namespace, 0, 0, **{"istio.io/rev": "canary"}))


def test_kube_what_is_right_is_stored_and_an_edit_is_checked(
    cluster: Cluster, checked: Injector, namespace: str
) -> None:
    cluster.apply(_virtual_service(namespace, 90, 10))
    with pytest.raises(Refused, match="denied the request"):
        cluster.apply(_virtual_service(namespace, 0, 0))
    cluster.kubectl("delete", "virtualservice", "reviews", "--namespace", namespace)


def test_kube_mixers_kinds_are_checked_and_told_what_would_be_right(
    cluster: Cluster, checked: Injector, namespace: str
) -> None:
    instance = {
        "apiVersion": "config.istio.io/v1alpha2",
        "kind": "instance",
        "metadata": {"name": "one", "namespace": namespace},
        "spec": {"compiledTemplate": "checknothin"},
    }
    with pytest.raises(Refused, match=r"instance .*/one: spec\.compiledTemplate: .*checknothing"):
        cluster.apply(instance)


def test_kube_a_policy_that_would_protect_nobody_is_refused(
    cluster: Cluster, checked: Injector, namespace: str
) -> None:
    """Neither the definition's schema nor anybody else would say that this address is none."""
    policy = {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "strangers", "namespace": namespace},
        "spec": {"action": "DENY", "rules": [{"from": [{"source": {"ipBlocks": ["10.0.0.256"]}}]}]},
    }
    with pytest.raises(Refused, match=r"denied the request: AuthorizationPolicy .*ipBlocks\[0\]"):
        cluster.apply(policy)
    assert cluster.names("authorizationpolicies", "--namespace", namespace) == set()


def test_kube_all_that_is_ours_to_define_is_checked() -> None:
    """What Pilot follows and would have to leave out; the Gateway API has statuses for that."""
    [checks] = [item for item in template() if item["kind"] == "ValidatingWebhookConfiguration"]
    ours = {collection.kind.group for collection in CONFIG if collection.kind.is_own}
    for webhook in checks["webhooks"]:
        [rule] = webhook["rules"]
        assert set(rule["apiGroups"]) == ours


def test_kube_what_an_upgrade_takes_back_is_said_again(checked: Injector) -> None:
    """A three-way merge puts the chart's `failurePolicy` in place."""
    checked.fail_open()
    until("it fails closed again", lambda: {hook["failurePolicy"] for hook in checked.hooks} == {"Fail"})
    assert checked.is_known
