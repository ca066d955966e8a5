"""Policies and roles of Istio 1.0: what they mean now, and that roles alone enforce nothing."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2

from mizzen.api.parse import parse
from mizzen.pilot.base.labels import labels

SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {selector: {app: reviews}, ports: [{port: 9080, name: http, targetPort: 8080}, {port: 9000, name: tcp}]}
---
apiVersion: v1
kind: Service
metadata: {name: ratings}
spec: {selector: {app: ratings}, ports: [{port: 9080, name: http}]}
"""
ISSUER = "{issuer: a, jwks: '{\"keys\": []}'"


def policy(spec: str, name: str = "default", kind: str = "Policy") -> str:
    where = "" if kind == "MeshPolicy" else ", namespace: default"
    return (
        f"apiVersion: authentication.istio.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}{where}}}\nspec: {spec}\n"
    )


def modes(world: Any, *texts: str) -> dict[str, str]:
    peers = world(SERVICES, *texts).mesh.peers
    accepted = {app: peers.of("default", labels({"app": app})) for app in ("reviews", "ratings")}
    return {f"{app}:{port}": accepted[app].on(port).value for app in accepted for port in (8080, 9000)}


ALL = ("reviews:8080", "reviews:9000", "ratings:8080", "ratings:9000")
PEERS = [
    ("{peers: [{mtls: {}}]}", "STRICT"),
    ("{peers: [{mtls: null}]}", "STRICT"),
    ("{peers: [{}]}", "STRICT"),
    ("{peers: [{mtls: {mode: PERMISSIVE}}]}", "PERMISSIVE"),
    ("{peers: [{mtls: {allowTls: true}}]}", "PERMISSIVE"),
    ("{peers: [{mtls: {}}], peerIsOptional: true}", "PERMISSIVE"),
    ("{}", "DISABLE"),
]


@pytest.mark.parametrize(("spec", "mode"), PEERS)
@pytest.mark.parametrize("kind", ["Policy", "MeshPolicy"])
def test_peers_of_a_namespace_and_of_the_mesh(world: Any, kind: str, spec: str, mode: str) -> None:
    assert modes(world, policy(spec, kind=kind)) == dict.fromkeys(ALL, mode)


def test_a_target_and_its_ports(world: Any) -> None:
    strict = policy("{targets: [{name: reviews}], peers: [{mtls: {}}]}", "a")
    assert modes(world, strict) == dict(zip(ALL, ("STRICT", "STRICT", "PERMISSIVE", "PERMISSIVE"), strict=True))
    port = policy("{targets: [{name: reviews, ports: [{number: 9080}]}], peers: [{mtls: {}}]}", "a")
    assert modes(world, port) == dict(zip(ALL, ("STRICT", "PERMISSIVE", "PERMISSIVE", "PERMISSIVE"), strict=True))


def test_a_modern_policy_goes_before_a_legacy_one(world: Any) -> None:
    modern = (
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: z, namespace: default}\n"
        "spec: {mtls: {mode: PERMISSIVE}}\n"
    )
    assert modes(world, policy("{peers: [{mtls: {}}]}"), modern) == dict.fromkeys(ALL, "PERMISSIVE")


def test_a_target_that_does_not_exist_is_told(world: Any) -> None:
    made = world(SERVICES, policy("{targets: [{name: nobody}], peers: [{mtls: {}}]}", "a"))
    assert "there is no service nobody" in str(made.mesh.problems)


def test_origins_are_tokens_that_are_needed_on_ports_of_http(world: Any) -> None:
    mesh = world(SERVICES, policy(f"{{targets: [{{name: reviews}}], origins: [{{jwt: {ISSUER}}}}}]}}", "a")).mesh
    (tokens,) = mesh.authentication
    assert tokens.spec.selector.match_labels == {"app": "reviews"}
    assert tokens.spec.jwt_rules[0].issuer == "a"
    (needed,) = mesh.authorization
    (rule,) = needed.spec.rules
    assert needed.spec.action == "DENY"
    assert rule.from_[0].source.not_request_principals == ("*",)
    assert rule.to[0].operation.ports == ("8080",)


def test_an_optional_origin_is_not_needed(world: Any) -> None:
    mesh = world(SERVICES, policy(f"{{origins: [{{jwt: {ISSUER}}}}}], originIsOptional: true}}")).mesh
    assert len(mesh.authentication) == 2
    assert mesh.authorization == ()


def test_a_policy_of_a_service_replaces_that_of_its_namespace(world: Any) -> None:
    wide = policy(f"{{origins: [{{jwt: {ISSUER}}}}}]}}")
    mesh = world(SERVICES, wide, policy("{targets: [{name: reviews}]}", "a")).mesh
    assert [each.spec.selector.match_labels for each in mesh.authentication] == [{"app": "ratings"}]
    assert [each.spec.selector.match_labels for each in mesh.authorization] == [{"app": "ratings"}]


TRIGGERS = [
    ("excludedPaths: [{exact: /health}, {prefix: /a}]", (), ("/health", "/a*")),
    ("includedPaths: [{suffix: /b}]", ("*/b",), ()),
    ("excludedPaths: [{regex: .*}, {exact: /c}]", (), ("/c",)),
    ("includedPaths: [{regex: .*}, {exact: /c}]", (), ()),
]


@pytest.mark.parametrize(("trigger", "paths", "not_paths"), TRIGGERS)
def test_triggers_are_paths(world: Any, trigger: str, paths: Any, not_paths: Any) -> None:
    spec = f"{{targets: [{{name: ratings}}], origins: [{{jwt: {ISSUER}, triggerRules: [{{{trigger}}}]}}}}]}}"
    made = world(SERVICES, policy(spec, "a")).mesh
    (rule,) = made.authorization[0].spec.rules
    assert (rule.to[0].operation.paths, rule.to[0].operation.not_paths) == (paths, not_paths)
    assert ("regular expression" in str(made.problems)) == ("regex" in trigger)


ROLE = """
apiVersion: rbac.istio.io/v1alpha1
kind: ServiceRole
metadata: {name: reader, namespace: default}
spec: {rules: [{services: ["reviews.*"], methods: [GET], paths: ["/a*"]%s}]}
---
apiVersion: rbac.istio.io/v1alpha1
kind: ServiceRoleBinding
metadata: {name: reader, namespace: default}
spec:
  subjects: [%s]
  roleRef: {kind: ServiceRole, name: reader}%s
"""
ALICE = "{user: cluster.local/ns/default/sa/alice}"


def roles(constraints: str = "", subject: str = ALICE, mode: str = "") -> str:
    more = f", constraints: [{constraints}]" if constraints else ""
    return ROLE % (more, subject, f"\n  mode: {mode}" if mode else "")


def switch(spec: str, kind: str = "ClusterRbacConfig") -> str:
    return f"apiVersion: rbac.istio.io/v1alpha1\nkind: {kind}\nmetadata: {{name: default}}\nspec: {spec}\n"


def guarded(world: Any, *texts: str) -> dict[str, Any]:
    found = world(SERVICES, *texts).mesh.authorization
    return {each.metadata.name: each for each in found}


ON = "{mode: ON}"
INCLUDED = "{mode: ON_WITH_INCLUSION, inclusion: {services: [reviews.default.svc.cluster.local]}}"
EXCLUDED = "{mode: ON_WITH_EXCLUSION, exclusion: {namespaces: [default]}}"
SWITCHES = [
    ((), set()),
    ((switch("{mode: OFF}"),), set()),
    ((switch("{}"),), set()),
    ((switch(ON),), {"reviews-roles", "ratings-roles"}),
    ((switch(ON, "RbacConfig"),), {"reviews-roles", "ratings-roles"}),
    ((switch(ON, "RbacConfig"), switch("{mode: OFF}")), set()),
    ((switch(INCLUDED),), {"reviews-roles"}),
    ((switch(EXCLUDED),), set()),
]


@pytest.mark.parametrize(("switches", "expected"), SWITCHES)
def test_roles_count_where_they_are_switched_on(world: Any, switches: Any, expected: set[str]) -> None:
    assert guarded(world, roles(), *switches).keys() == expected


def test_a_role_allows_what_it_says_to_whom_it_is_bound(world: Any) -> None:
    found = guarded(world, roles(), switch(ON))
    (rule,) = found["reviews-roles"].spec.rules
    assert rule.from_[0].source.principals == ("cluster.local/ns/default/sa/alice",)
    assert (rule.to[0].operation.methods, rule.to[0].operation.paths) == (("GET",), ("/a*",))
    assert found["ratings-roles"].spec.rules == ()


SUBJECTS = [
    ('{user: "*"}', None, ()),
    ("{properties: {source.namespace: other}}", None, ("source.namespace",)),
    ("{group: staff}", None, ("request.auth.claims[groups]",)),
]


@pytest.mark.parametrize(("subject", "origin", "keys"), SUBJECTS)
def test_subjects(world: Any, subject: str, origin: Any, keys: tuple[str, ...]) -> None:
    (rule,) = guarded(world, roles(subject=subject), switch(ON))["reviews-roles"].spec.rules
    assert rule.from_ == origin
    assert tuple(each.key for each in rule.when) == keys


def test_what_cannot_be_said_allows_nobody_and_is_told(world: Any) -> None:
    made = world(SERVICES, roles("{key: version, values: [v1]}"), switch(ON)).mesh
    assert [each.spec.rules for each in made.authorization] == [(), ()]
    assert "a condition on 'version' has no counterpart" in str(made.problems)


def test_labels_of_the_destination_choose_workloads(world: Any) -> None:
    found = guarded(world, roles('{key: "destination.labels[version]", values: [v1, v2]}'), switch(ON))
    assert found["reviews-roles"].spec.rules == ()
    wanted = [found[f"reviews-roles-{number}"].spec.selector.match_labels for number in (1, 2)]
    assert wanted == [{"app": "reviews", "version": "v1"}, {"app": "reviews", "version": "v2"}]


def test_what_is_permissive_is_only_tried(world: Any) -> None:
    found = guarded(world, roles(mode="PERMISSIVE"), switch(ON))
    assert found["reviews-roles"].spec.rules == ()
    assert found["reviews-roles-permissive"].metadata.annotations == {"istio.io/dry-run": "true"}
    found = guarded(world, roles(), switch("{mode: ON, enforcementMode: PERMISSIVE}"))
    assert {each.metadata.annotations["istio.io/dry-run"] for each in found.values()} == {"true"}


def test_roles_are_not_for_gateways(world: Any, router: Any) -> None:
    gateway = (
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: edge}\n"
        "spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 8080, name: http, protocol: HTTP},"
        " hosts: ['*']}]}\n"
    )
    ingress = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: ingress, namespace: istio-system}\n"
        "spec: {selector: {istio: ingressgateway}, ports: [{port: 8080, name: http}]}\n"
    )
    made = world(SERVICES, gateway, ingress, switch(ON))
    assert "ingress-roles" in {each.metadata.name for each in made.mesh.authorization}
    listener = made.listeners(router())["0.0.0.0_8080"]
    assert rbac_pb2.RBAC.DESCRIPTOR.full_name not in str(listener)


@pytest.mark.parametrize("text", [*roles().split("---"), switch(ON), policy("{}"), policy("{}", kind="MeshPolicy")])
def test_what_to_write_instead_is_told(text: str) -> None:
    (problem,) = parse(text).problems
    assert problem.severity == "warning"
    assert "deprecated" in problem.message
    assert "PeerAuthentication" in problem.message or "AuthorizationPolicy" in problem.message


def test_a_binding_of_a_role_that_is_not_there_is_told_of(world: Any) -> None:
    text = roles().replace("kind: ServiceRole, name: reader", "kind: ServiceRole, name: raeder")
    (problem,) = world(SERVICES, text, switch("{mode: ON}")).mesh.problems
    assert (problem.resource, problem.path) == ("ServiceRoleBinding default/reader", "spec.roleRef.name")
    assert "there is no ServiceRole raeder in namespace default" in problem.message
    assert not world(SERVICES, text, switch("{mode: 'OFF'}")).mesh.problems
