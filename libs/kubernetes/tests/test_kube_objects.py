"""What is kept of an object of the API server."""

from __future__ import annotations

from typing import Any

import pytest

from mizzen.api.kinds import KINDS
from mizzen.api.kubernetes import Pod, PodStatus, Secret
from mizzen.api.resource import ResourceKey
from mizzen.kubernetes.collections import CONFIG, CREDENTIALS, REGISTRY, Collection
from mizzen.kubernetes.objects import Malformed, read_object, read_objects

BY_KIND = {collection.kind.key: collection for collection in (*CONFIG, *REGISTRY)}


def virtual_service(**changes: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {
            "name": "reviews",
            "namespace": "shop",
            "resourceVersion": "41",
            "uid": "u",
            "generation": 2,
            "managedFields": [{"manager": "kubectl"}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "kept"},
            **changes.pop("metadata", {}),
        },
        "spec": {"hosts": ["reviews"], "http": [{"route": [{"destination": {"host": "reviews"}}]}]},
        **changes,
    }


@pytest.mark.parametrize(
    ("kind", "path", "name"),
    [
        ("VirtualService", "/apis/networking.istio.io/v1/virtualservices", "virtualservices.networking.istio.io"),
        ("ServiceEntry", "/apis/networking.istio.io/v1/serviceentries", "serviceentries.networking.istio.io"),
        ("Gateway", "/apis/networking.istio.io/v1/gateways", "gateways.networking.istio.io"),
        (
            "Gateway.gateway.networking.k8s.io",
            "/apis/gateway.networking.k8s.io/v1/gateways",
            "gateways.gateway.networking.k8s.io",
        ),
        (
            "GatewayClass",
            "/apis/gateway.networking.k8s.io/v1/gatewayclasses",
            "gatewayclasses.gateway.networking.k8s.io",
        ),
        (
            "ReferenceGrant",
            "/apis/gateway.networking.k8s.io/v1beta1/referencegrants",
            "referencegrants.gateway.networking.k8s.io",
        ),
        ("rule", "/apis/config.istio.io/v1alpha2/rules", "rules.config.istio.io"),
        ("EndpointSlice", "/apis/discovery.k8s.io/v1/endpointslices", "endpointslices.discovery.k8s.io"),
        ("Pod", "/api/v1/pods", "pods"),
    ],
)
def test_paths(kind: str, path: str, name: str) -> None:
    assert (BY_KIND[kind].path, BY_KIND[kind].name) == (path, name)


def test_every_kind_that_configures_pilot_is_followed() -> None:
    assert {c.kind.key for c in CONFIG} == {kind.key for kind in KINDS.values() if not kind.is_kubernetes}


def test_what_others_define_is_optional() -> None:
    assert {c.kind.group for c in (*CONFIG, *REGISTRY) if c.optional} == {"gateway.networking.k8s.io"}


def test_a_resource_does_not_differ_by_its_version_alone() -> None:
    first = read_object(BY_KIND["VirtualService"], virtual_service())
    again = read_object(
        BY_KIND["VirtualService"],
        virtual_service(metadata={"resourceVersion": "42"}, status={"conditions": [{"type": "Reconciled"}]}),
    )
    assert first.resource is not None
    assert first.key == first.resource.key == ResourceKey("VirtualService", "shop", "reviews")
    assert (first.version, again.version) == ("41", "42")
    assert first.resource == again.resource
    assert first.resource.metadata.annotations == {"mine": "kept"}
    assert first.resource.metadata.generation == 2


def test_a_fault_is_the_objects_alone_and_names_it() -> None:
    good = virtual_service(metadata={"name": "good"})
    found = read_objects(BY_KIND["VirtualService"], [virtual_service(spec={"hosts": ["a"], "htp": []}), good])
    assert [reading.resource is not None for reading in found] == [False, True]
    (problem,) = found[0].problems
    assert str(problem) == ('error: VirtualService shop/reviews: spec.htp: unknown field; did you mean "http"?')


@pytest.mark.parametrize("given", [None, "text", {}, {"metadata": {}}, {"metadata": {"name": 1}}])
def test_what_has_no_name_is_no_object(given: Any) -> None:
    with pytest.raises(Malformed):
        read_object(BY_KIND["Service"], given)


def test_of_pods_only_what_an_endpoint_inherits_is_kept() -> None:
    # Items of lists carry neither apiVersion nor kind.
    given = {
        "metadata": {
            "name": "a", "namespace": "shop", "labels": {"app": "a"}, "annotations": {"sidecar.istio.io/status": "{}"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a-5", "uid": "u"}],
        },
        "spec": {"nodeName": "n", "serviceAccountName": "sa", "containers": [{"name": "c", "image": "i"}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
    }  # fmt: skip
    resource = read_object(BY_KIND["Pod"], given).resource
    assert resource is not None
    assert isinstance(resource.spec, Pod)
    assert isinstance(resource.status, PodStatus)
    assert (resource.spec.node_name, resource.spec.service_account_name, resource.spec.containers) == ("n", "sa", ())
    assert (resource.status.pod_ip, resource.metadata.labels, resource.metadata.annotations) == (
        "10.0.0.1",
        {"app": "a"},
        {},
    )


def test_nodes_change_only_when_they_stand_elsewhere() -> None:
    def node(zone: str, **labels: str) -> dict[str, Any]:
        labels["topology.kubernetes.io/zone"] = zone
        metadata = {"name": "n", "labels": labels, "annotations": {"heartbeat": zone}}
        return {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata}

    nodes: Collection = BY_KIND["Node"]
    first = read_object(nodes, node("a")).resource
    assert first is not None
    assert first.kind == "Node"
    assert first == read_object(nodes, node("a", os="linux")).resource
    assert first != read_object(nodes, node("b")).resource
    assert nodes.accept(listing=True).startswith("application/json;as=PartialObjectMetadataList;")


def test_a_broken_object_tells_what_can_be_told_of_it() -> None:
    rule = {"matches": [{"path": {"type": "RegularExpression", "value": "/a("}}], "retry": {}}
    item = {
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 2},
        "spec": {"parentRefs": [{"name": "edge"}], "rules": [rule]},
    }
    reading = read_object(BY_KIND["HTTPRoute"], item)
    assert reading.resource is None
    assert [problem.path for problem in reading.problems] == [
        "spec.rules[0].retry",
        "spec.rules[0].matches[0].path.value",
    ]
    assert reading.refused is not None
    assert [parent.name for parent in reading.refused.spec.parent_refs] == ["edge"]


SECRETS = Collection(KINDS["Secret"], "edge", CREDENTIALS, annotations=False, values=frozenset({"tls.crt", "tls.key"}))


def test_of_a_secret_the_named_values_are_kept() -> None:
    given = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "shop", "namespace": "edge", "annotations": {"why": "not read"}},
        "data": {"tls.crt": "YQ==", "password": "Yg=="},
    }
    resource = read_object(SECRETS, given).resource
    assert resource is not None
    assert resource.metadata.annotations == {}
    assert isinstance(resource.spec, Secret)
    assert set(resource.spec.data) == {"tls.crt"}


def test_a_secret_may_be_empty() -> None:
    given = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "empty", "namespace": "edge"}, "data": None}
    resource = read_object(SECRETS, given).resource
    assert resource is not None
    assert isinstance(resource.spec, Secret)
    assert not resource.spec.data


def test_a_collection_may_be_of_one_namespace() -> None:
    assert SECRETS.path == "/api/v1/namespaces/edge/secrets"
    assert SECRETS.object_path(ResourceKey("Secret", "edge", "shop")) == "/api/v1/namespaces/edge/secrets/shop"
