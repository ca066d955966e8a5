"""What each ServiceAccount of the chart may do, asked and tried with its own token."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from support.kube.cluster import Cluster, Object
from support.kube.release import Release, crd_names

from mizzen.kubernetes.collections import CONFIG as CONFIG_COLLECTIONS
from mizzen.kubernetes.collections import CONFIG_GROUPS, STATUS_GROUPS
from mizzen.kubernetes.collections import REGISTRY as REGISTRY_COLLECTIONS

EVERYWHERE = ""
OTHERS = ("istio-ingressgateway", "istio-egressgateway")


@dataclass(frozen=True)
class Right:
    """To do something to a kind of object: in the release's namespace, in another one, or everywhere."""

    verb: str
    resource: str
    where: str = EVERYWHERE
    part: str = ""
    name: str = ""

    def attributes(self, own: str) -> Object:
        """As an access review has them."""
        resource, _, group = self.resource.partition(".")
        name = self.name.format(own=own)
        known = {"verb": self.verb, "group": group, "resource": resource, "subresource": self.part, "name": name}
        return known if self.where == EVERYWHERE else known | {"namespace": self.where.format(own=own)}


PLACES = OWN, OTHER, _ = "{own}", "default", EVERYWHERE
FOLLOW = ("list", "watch")
READ = ("get", *FOLLOW)
WRITE = ("create", "update", "patch", "delete")
LEASE = "leases.coordination.k8s.io"
REGISTRY = ("services", "pods", "nodes", "namespaces", "endpointslices.discovery.k8s.io")
CONFIG = sorted(name for name in crd_names() if name.endswith(CONFIG_GROUPS))
GATEWAY_API = [collection.name for collection in CONFIG_COLLECTIONS if collection.optional]
GATEWAY_API_STATUS = [kind for kind in GATEWAY_API if not kind.startswith("referencegrants.")]
PILOT_MAY = [
    *(Right(verb, resource) for verb in FOLLOW for resource in (*REGISTRY, *CONFIG, *GATEWAY_API)),
    *(Right("patch", kind, part="status") for kind in CONFIG if kind.endswith(STATUS_GROUPS)),
    *(Right("get", kind) for kind in GATEWAY_API_STATUS),
    *(Right("patch", kind, part="status") for kind in GATEWAY_API_STATUS),
    *(Right(verb, LEASE, OWN, name="mizzen-pilot") for verb in ("get", "update")),
    Right("create", "tokenreviews.authentication.k8s.io"),
    *(Right(verb, "configmaps", name="istio-ca-root-cert") for verb in (*FOLLOW, "create", "patch")),
    *(Right(verb, "secrets", OWN, name=name) for verb in READ for name in ("cacerts", "istio-ca-secret")),
    *(Right(verb, "secrets", OWN, name="istio-ca-secret") for verb in ("create", "patch")),
    *(Right(verb, "secrets", OWN) for verb in FOLLOW),
]
PILOT_MAY_NOT = [
    *(Right(verb, "virtualservices.networking.istio.io") for verb in ("create", "update", "patch", "delete")),
    *(Right(verb, kind) for verb in WRITE for kind in GATEWAY_API),
    *(Right(verb, "configmaps", where) for verb in (*READ, *WRITE) for where in PLACES),
    *(Right(verb, "secrets", where) for verb in (*READ, *WRITE) for where in (OTHER, EVERYWHERE)),
    *(Right(verb, "secrets", OWN) for verb in ("get", *WRITE)),
    *(Right(verb, "secrets", OTHER, name=name) for verb in (*READ, *WRITE) for name in ("cacerts", "istio-ca-secret")),
    *(Right(verb, "secrets", OWN, name="cacerts") for verb in WRITE),
    *(Right(verb, "secrets", OWN, name="istio-ca-secret") for verb in ("update", "delete")),
    Right("delete", "configmaps", OWN, name="istio-ca-root-cert"),
    *(Right(verb, "pods", OWN) for verb in WRITE),
    Right("create", "pods", OWN, part="exec"),
    Right("get", "pods", OWN, part="log"),
    Right("patch", "pods", part="status"),
    Right("patch", "services", part="status"),
    Right("create", "serviceaccounts", OWN, part="token"),
    Right("update", LEASE, OWN),
    Right("update", LEASE, OTHER, name="mizzen-pilot"),
    Right("create", LEASE, OWN),
    Right("delete", LEASE, OWN, name="mizzen-pilot"),
    Right("list", "serviceaccounts"),
    Right("list", "clusterroles.rbac.authorization.k8s.io"),
    Right("patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io"),
    Right("list", "customresourcedefinitions.apiextensions.k8s.io"),
    Right("impersonate", "users"),
]
MIXER_MAY = [
    Right(verb, kind)
    for verb in FOLLOW
    for kind in ("pods", *CONFIG)
    if kind == "pods" or kind.endswith(".config.istio.io")
]
MIXER_MAY_NOT = [
    *(Right(verb, kind) for verb in FOLLOW for kind in CONFIG if kind.endswith(".networking.istio.io")),
    *(Right(verb, "rules.config.istio.io") for verb in ("create", "update", "patch", "delete")),
    *(Right(verb, kind, where) for verb in READ for kind in ("secrets", "configmaps") for where in PLACES),
    *(Right(verb, "pods") for verb in ("get", "create", "delete")),
    Right("update", LEASE, OWN),
    Right("create", "serviceaccounts", OWN, part="token"),
    Right("impersonate", "users"),
]
CHECKS = "validatingwebhookconfigurations.admissionregistration.k8s.io"
HOOKS = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
INJECTOR_MAY = [
    *(Right(verb, LEASE, OWN, name="mizzen-injector") for verb in ("get", "update")),
    *(Right(verb, "secrets", OWN, name="mizzen-injector-certificate") for verb in (*FOLLOW, "patch")),
    *(Right(verb, HOOKS, name="istio-sidecar-injector-{own}") for verb in (*FOLLOW, "patch")),
    *(Right(verb, CHECKS, name="istio-validator-{own}") for verb in (*FOLLOW, "patch")),
    Right("create", "gateways.networking.istio.io", OWN),
]
INJECTOR_MAY_NOT = [
    *(Right(verb, "secrets", where) for verb in (*READ, "create", "patch") for where in PLACES),
    *(Right(verb, "secrets", OTHER, name="mizzen-injector-certificate") for verb in (*READ, "patch")),
    *(Right(verb, HOOKS) for verb in (*READ, "create", "patch", "update", "delete")),
    *(Right(verb, HOOKS, name="istio-sidecar-injector-{own}") for verb in ("update", "delete")),
    *(Right(verb, CHECKS) for verb in (*READ, "create", "patch", "update", "delete")),
    *(Right(verb, "gateways.networking.istio.io", OWN) for verb in (*READ, "patch", "update", "delete")),
    Right("create", "gateways.networking.istio.io", OTHER),
    *(Right("create", kind, OWN) for kind in CONFIG if kind != "gateways.networking.istio.io"),
    *(Right(verb, "pods", where) for verb in (*READ, "create", "patch") for where in PLACES),
    Right("update", LEASE, OWN),
    Right("create", LEASE, OWN),
    Right("create", "serviceaccounts", OWN, part="token"),
    Right("impersonate", "users"),
]


@pytest.fixture(scope="session")
def pilot(release: Release) -> Cluster:
    return release.cluster.service_account(release.namespace, "mizzen-pilot")


@pytest.fixture(scope="session")
def injector(release: Release) -> Cluster:
    return release.cluster.service_account(release.namespace, "mizzen-injector")


@pytest.fixture(scope="session")
def mixer(release: Release) -> Cluster:
    return release.cluster.service_account(release.namespace, "mizzen-mixer")


def test_kube_mixer_may_do_its_work(mixer: Cluster, release: Release) -> None:
    assert _allowed(mixer, release, MIXER_MAY) == MIXER_MAY


def test_kube_mixer_may_do_nothing_else(mixer: Cluster, release: Release) -> None:
    assert _allowed(mixer, release, MIXER_MAY_NOT) == []


def test_kube_pilot_may_do_its_work(pilot: Cluster, release: Release) -> None:
    assert _allowed(pilot, release, PILOT_MAY) == PILOT_MAY


def test_kube_pilot_may_do_nothing_else(pilot: Cluster, release: Release) -> None:
    assert _allowed(pilot, release, PILOT_MAY_NOT) == []


def test_kube_the_injector_may_do_its_work(injector: Cluster, release: Release) -> None:
    assert _allowed(injector, release, INJECTOR_MAY) == INJECTOR_MAY


def test_kube_the_injector_may_do_nothing_else(injector: Cluster, release: Release) -> None:
    assert _allowed(injector, release, INJECTOR_MAY_NOT) == []


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


def test_kube_pilot_lists_what_it_follows(pilot: Cluster, gateway_api_definitions: None) -> None:
    """Real calls of all that its code follows, under the names and versions that the code has."""
    for collection in (*CONFIG_COLLECTIONS, *REGISTRY_COLLECTIONS):
        pilot.kubectl("get", f"--raw={collection.path}?limit=1")
