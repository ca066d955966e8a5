"""The harness itself: what a component finds in this cluster is what it finds in any."""

from __future__ import annotations

import pytest
from support.kube.cluster import Cluster, Refused, until


def test_kube_controllers_make_what_a_deployment_asks_for(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("create", "deployment", "shop", "--image=shop:1", "--replicas=2", "--namespace", namespace)
    until("two Pods", lambda: len(cluster.names("pods", "--namespace", namespace)) == 2)


def test_kube_rights_are_enforced(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("create", "serviceaccount", "nobody", "--namespace", namespace)
    nobody = cluster.service_account(namespace, "nobody")
    assert nobody.kubectl("auth", "whoami", "--output=jsonpath={.status.userInfo.username}") == (
        f"system:serviceaccount:{namespace}:nobody"
    )
    assert nobody.may([{"verb": "list", "resource": "pods"}]) == [False]
    with pytest.raises(Refused, match="forbidden"):
        nobody.get("pods", "--namespace", namespace)
