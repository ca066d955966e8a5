"""What each ServiceAccount of the chart may do, asked and tried with its own token."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from kube.harness.cluster import Cluster, Object, Refused
from kube.harness.release import Release, crd_names

from mizzen.api.crd.definition import plural
from mizzen.api.kinds import KINDS

EVERYWHERE = ""
OTHERS = ("mizzen-mixer", "mizzen-injector", "istio-ingressgateway", "istio-egressgateway")


@dataclass(frozen=True)
class Right:
    """To do something to a kind of object: in the release's namespace, in another one, or everywhere."""

    verb: str
    resource: str
    where: str = EVERYWHERE
    part: str = ""

    def attributes(self, own: str) -> Object:
        """As an access review has them."""
        resource, _, group = self.resource.partition(".")
        known = {"verb": self.verb, "group": group, "resource": resource, "subresource": self.part}
        return known if self.where == EVERYWHERE else known | {"namespace": self.where.format(own=own)}


OWN, OTHER = "{own}", "default"
READ = ("get", "list", "watch")
REGISTRY = ("services", "pods", "nodes", "namespaces", "endpointslices.discovery.k8s.io")
GATEWAY_API = ("gateways", "httproutes", "grpcroutes", "referencegrants")
PILOT_MAY = [
    *(Right(verb, resource) for verb in READ for resource in (*REGISTRY, *sorted(crd_names()))),
    *(Right(verb, f"{kind}.gateway.networking.k8s.io") for verb in READ for kind in GATEWAY_API),
    *(Right("patch", f"{kind}.networking.istio.io", part="status") for kind in ("virtualservices", "gateways")),
    Right("update", "rules.config.istio.io", part="status"),
    Right("update", "gateways.gateway.networking.k8s.io", part="status"),
    *(Right(verb, resource, OWN) for verb in READ for resource in ("secrets", "configmaps")),
    *(Right(verb, "leases.coordination.k8s.io", OWN) for verb in ("get", "create", "update", "patch")),
]
PILOT_MAY_NOT = [
    *(Right(verb, "virtualservices.networking.istio.io") for verb in ("create", "update", "patch", "delete")),
    *(Right(verb, resource) for verb in READ for resource in ("secrets", "configmaps", "leases.coordination.k8s.io")),
    *(Right(verb, "secrets", OTHER) for verb in READ),
    *(Right(verb, "secrets", OWN) for verb in ("create", "update", "patch", "delete")),
    *(Right(verb, "pods", OWN) for verb in ("create", "update", "patch", "delete")),
    Right("create", "pods", OWN, part="exec"),
    Right("get", "pods", OWN, part="log"),
    Right("patch", "pods", part="status"),
    Right("patch", "services", part="status"),
    Right("create", "serviceaccounts", OWN, part="token"),
    Right("create", "leases.coordination.k8s.io", OTHER),
    Right("delete", "leases.coordination.k8s.io", OWN),
    Right("list", "serviceaccounts"),
    Right("list", "clusterroles.rbac.authorization.k8s.io"),
    Right("patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io"),
    Right("list", "customresourcedefinitions.apiextensions.k8s.io"),
    Right("impersonate", "users"),
]


@pytest.fixture(scope="session")
def pilot(release: Release) -> Cluster:
    return release.cluster.service_account(release.namespace, "mizzen-pilot")


def test_kube_pilot_may_do_its_work(pilot: Cluster, release: Release) -> None:
    assert _allowed(pilot, release, PILOT_MAY) == PILOT_MAY


def test_kube_pilot_may_do_nothing_else(pilot: Cluster, release: Release) -> None:
    assert _allowed(pilot, release, PILOT_MAY_NOT) == []


def _allowed(subject: Cluster, release: Release, rights: list[Right]) -> list[Right]:
    answers = subject.may([right.attributes(release.namespace) for right in rights])
    return [right for right, allowed in zip(rights, answers, strict=True) if allowed]


def _rules(subject: Cluster, namespace: str) -> list[str]:
    """A SelfSubjectRulesReview: all that it may do in a namespace."""
    [review] = subject.review("SelfSubjectRulesReview", [{"namespace": namespace}])
    assert not review["incomplete"]
    return sorted(json.dumps(rule) for part in ("resourceRules", "nonResourceRules") for rule in review[part])


@pytest.mark.parametrize("name", OTHERS)
def test_kube_others_may_do_no_more_than_any_service_account(release: Release, name: str) -> None:
    anybody = release.cluster.service_account(release.namespace, "default")
    subject = release.cluster.service_account(release.namespace, name)
    assert _rules(subject, release.namespace) == _rules(anybody, release.namespace)


@pytest.mark.parametrize("name", OTHERS)
def test_kube_others_are_given_no_token(release: Release, name: str) -> None:
    spec = release.get("deployment", name)["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False


def test_kube_pilot_lists_what_it_follows(pilot: Cluster) -> None:
    """Real calls: the definitions are there under the names and versions that our models have."""
    groups = {"networking.istio.io", "config.istio.io", "rbac.istio.io"}
    for kind in (kind for kind in KINDS.values() if kind.group in groups):
        for version in kind.api_versions:
            assert pilot.kubectl("get", f"--raw=/apis/{version}/{plural(kind.name)}?limit=1")
    for resource in REGISTRY:
        pilot.kubectl("get", resource, "--all-namespaces", "--output=name")


def test_kube_pilot_writes_status_and_nothing_else(cluster: Cluster, pilot: Cluster, namespace: str) -> None:
    spec = {"hosts": ["shop"], "http": [{"route": [{"destination": {"host": "shop"}}]}]}
    cluster.apply(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": "shop", "namespace": namespace},
            "spec": spec,
        }
    )
    named = ("virtualservices.networking.istio.io", "shop", f"--namespace={namespace}")
    conditions = {"status": {"conditions": [{"type": "Reconciled", "status": "True"}]}}
    pilot.kubectl("patch", *named, "--type=merge", "--subresource=status", f"--patch={json.dumps(conditions)}")
    [condition] = cluster.get(*named)["status"]["conditions"]
    assert condition["type"] == "Reconciled"
    with pytest.raises(Refused, match="forbidden"):
        pilot.kubectl("patch", *named, "--type=merge", '--patch={"spec": {"hosts": ["other"]}}')
    assert cluster.get(*named)["spec"] == spec
