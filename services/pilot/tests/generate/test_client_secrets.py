"""Credentials of DestinationRules: gateways begin TLS with them, and nobody else gets them."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from envoy.config.cluster.v3 import cluster_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2, tls_pb2
from google.protobuf import any_pb2

from mizzen.api.resource import ResourceKey
from mizzen.identity.certificate import certificate_to_pem
from mizzen.identity.keys import key_to_pem, new_key
from mizzen.pilot.ca.authority import self_signed
from mizzen.pilot.generate.affects import affected_types
from mizzen.pilot.generate.api import generate
from mizzen.pilot.generate.typeurls import CLUSTER, SECRET
from mizzen.pilot.snapshot.diff import difference

PARTNER = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: partner, namespace: default}
spec:
  hosts: [api.example]
  resolution: STATIC
  ports: [{number: 443, name: https, protocol: HTTPS}]
  endpoints: [{address: 192.0.2.1}]
"""


def rule(tls: str, more: str = "") -> str:
    policy = f"{{portLevelSettings: [{{port: {{number: 443}}, tls: {{{tls}}}}}]}}"
    return (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: partner, namespace: default}\n"
        f"spec: {{host: api.example, {more}trafficPolicy: {policy}}}\n"
    )


MUTUAL = rule("mode: MUTUAL, credentialName: client")


@pytest.fixture(scope="module")
def pair() -> str:
    key = new_key()
    certificate = certificate_to_pem(self_signed(key, "shop", datetime.now(UTC)).certificate)
    values = {"tls.crt": certificate, "tls.key": key_to_pem(key)}
    return secret(values | {"ca.crt": values["tls.crt"]})


def secret(values: dict[str, str], namespace: str = "istio-system") -> str:
    data = {key: base64.b64encode(text.encode()).decode() for key, text in values.items()}
    metadata = {"name": "client", "namespace": namespace}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})


def cluster(made: Any, proxy: Any) -> Any:
    found = generate(CLUSTER, proxy, made.mesh, None).resources["outbound|443||api.example"]
    message = cluster_pb2.Cluster()
    assert any_pb2.Any.FromString(found.body).Unpack(message)
    return message


def context(made: Any, proxy: Any) -> Any:
    message = tls_pb2.UpstreamTlsContext()
    assert cluster(made, proxy).transport_socket.typed_config.Unpack(message)
    return message.common_tls_context


def given(made: Any, proxy: Any, name: str) -> Any:
    found = generate(SECRET, proxy, made.mesh, frozenset({name}))
    if name in found.failures:
        return found.failures[name]
    message = secret_pb2.Secret()
    assert any_pb2.Any.FromString(found.resources[name].body).Unpack(message)
    return message


def test_mutual_names_a_pair_and_authorities(world: Any, router: Any) -> None:
    common = context(world(PARTNER, MUTUAL), router())
    assert [each.name for each in common.tls_certificate_sds_secret_configs] == ["kubernetes://client"]
    roots = common.combined_validation_context.validation_context_sds_secret_config
    assert roots.name == "kubernetes://client-cacert"
    assert roots.sds_config.HasField("ads")


def test_simple_names_authorities_alone(world: Any, router: Any) -> None:
    common = context(world(PARTNER, rule("mode: SIMPLE, credentialName: client")), router())
    assert not common.tls_certificate_sds_secret_configs
    assert common.combined_validation_context.validation_context_sds_secret_config.name == "kubernetes://client-cacert"


def test_sidecars_leave_such_rules_alone(world: Any, sidecar: Any) -> None:
    found = cluster(world(PARTNER, MUTUAL), sidecar())
    assert not found.HasField("transport_socket")


def test_a_gateway_is_given_both(world: Any, router: Any, pair: str) -> None:
    made, proxy = world(PARTNER, MUTUAL, pair), replace(router(), verified=True)
    assert given(made, proxy, "kubernetes://client").HasField("tls_certificate")
    assert given(made, proxy, "kubernetes://client-cacert").HasField("validation_context")


def test_nobody_else_is(world: Any, router: Any, sidecar: Any, pair: str) -> None:
    made = world(PARTNER, MUTUAL, pair)
    assert "mutual TLS alone" in given(made, router(), "kubernetes://client")
    workload = replace(sidecar(namespace="istio-system"), verified=True)
    assert "names it" in given(made, workload, "kubernetes://client")
    elsewhere = replace(router(), verified=True, namespace="shop")
    assert "Secret shop/client does not exist" in given(made, elsewhere, "kubernetes://client")
    hidden = world(PARTNER, rule("mode: MUTUAL, credentialName: client", "exportTo: ['.'], "), pair)
    assert "names it" in given(hidden, replace(router(), verified=True), "kubernetes://client")


def test_a_rule_cannot_name_the_secret_of_another_namespace(world: Any, router: Any, pair: str) -> None:
    stated = "kubernetes-gateway://default/client"
    other = pair.replace("namespace: istio-system", "namespace: default")
    made = world(PARTNER, rule(f"mode: MUTUAL, credentialName: '{stated}'"), other)
    assert "may not have Secret default/client" in given(made, replace(router(), verified=True), stated)


def test_a_new_pair_goes_to_gateways(world: Any, router: Any, sidecar: Any, pair: str) -> None:
    made = world(PARTNER, MUTUAL)
    change = difference(made.mesh, world(PARTNER, MUTUAL, pair).mesh)
    assert ResourceKey("Secret", "istio-system", "client") in change.config
    new = world(PARTNER, MUTUAL, pair).mesh
    assert affected_types(change, replace(router(), verified=True), made.mesh, new) == (SECRET,)
    assert affected_types(change, sidecar(), made.mesh, new) == ()


def test_what_is_missing_is_told(world: Any) -> None:
    said = [str(problem) for problem in world(PARTNER, MUTUAL).mesh.problems]
    where = "spec.trafficPolicy.portLevelSettings[0].tls.credentialName"
    assert any(f"{where}: credential kubernetes://client cannot be used: there is no Secret" in each for each in said)
    selecting = rule("mode: MUTUAL, credentialName: client", "workloadSelector: {matchLabels: {app: web}}, ")
    assert any("sidecars get no Secrets" in str(problem) for problem in world(PARTNER, selecting).mesh.problems)
