"""Mixer behind mutual TLS: the clusters of port 15004, for our own proxy and a stock Envoy alike."""

from collections.abc import Callable
from typing import Any

import pytest
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2

from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.generate.affects import affected_types
from mizzen.pilot.generate.typeurls import CLUSTER, ENDPOINT
from mizzen.pilot.snapshot.diff import difference

HOST = "istio-policy.istio-system.svc.cluster.local"
SECURE, PLAIN = f"outbound|15004||{HOST}", f"outbound|9091||{HOST}"
ON = MeshConfig(mixer_check_server=f"{HOST}:15004")
ABLE = {"app": "web", "security.istio.io/tlsMode": "istio"}
MIXER = """
apiVersion: v1
kind: Service
metadata: {name: istio-policy, namespace: istio-system}
spec:
  ports: [{port: 9091, name: grpc-mixer}, {port: 15004, name: grpc-mixer-mtls}]
  selector: {istio: mixer}
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: istio-policy, namespace: istio-system}
spec:
  host: istio-policy
  trafficPolicy: {portLevelSettings: [{port: {number: 15004}, tls: {mode: %s}}]}
"""


def pod(account: str) -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: mixer-1, namespace: istio-system, labels: {{istio: mixer}}}}
spec: {{serviceAccountName: {account}}}
status: {{podIP: 10.1.1.1}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: istio-policy-1, namespace: istio-system, labels: {{kubernetes.io/service-name: istio-policy}}}}
addressType: IPv4
ports: [{{name: grpc-mixer, port: 9091}}, {{name: grpc-mixer-mtls, port: 15004}}]
endpoints:
- addresses: [10.1.1.1]
  conditions: {{ready: true}}
  targetRef: {{kind: Pod, name: mixer-1, namespace: istio-system}}
"""


def context(cluster: Any) -> Any:
    found = tls_pb2.UpstreamTlsContext()
    assert cluster.transport_socket.typed_config.Unpack(found)
    return found


def identity(account: str) -> str:
    return f"spiffe://cluster.local/ns/istio-system/sa/{account}"


@pytest.mark.parametrize("own", [{}, {"MIZZEN_PROXY": "1"}])
@pytest.mark.parametrize("auto", [True, False])
def test_proxies_show_their_certificate_and_expect_mixers_account(
    own: dict[str, str], auto: bool, world: Any, sidecar: Any
) -> None:
    """Whether mutual TLS between workloads is on or not; Mixer's other port stays as it is."""
    settings = MeshConfig(mixer_check_server=ON.mixer_check_server, enable_auto_mtls=auto)
    clusters = world(MIXER, pod("mizzen-mixer"), settings=settings).clusters(sidecar(LABELS=ABLE, **own))
    assert not clusters[SECURE].transport_socket_matches
    tls = context(clusters[SECURE])
    assert tls.sni == HOST
    common = tls.common_tls_context
    assert [each.name for each in common.tls_certificate_sds_secret_configs] == ["default"]
    trusted = common.combined_validation_context
    assert trusted.validation_context_sds_secret_config.name == "ROOTCA"
    names = trusted.default_validation_context.match_typed_subject_alt_names
    assert [name.matcher.exact for name in names] == [identity("mizzen-mixer")]
    assert not clusters[PLAIN].HasField("transport_socket")


def test_a_gateway_with_an_identity_does_so_too(world: Any, router: Any) -> None:
    mesh = world(MIXER, pod("mizzen-mixer"), settings=ON)
    assert context(mesh.clusters(router(PRINCIPAL=identity("gateway")))[SECURE]).sni == HOST


def test_a_proxy_without_a_certificate_waits_for_none(world: Any, sidecar: Any) -> None:
    """Mixer refuses it; a stock Envoy that waited for its secret would have no listener either."""
    mesh = world(MIXER, pod("mizzen-mixer"), settings=ON)
    assert not mesh.clusters(sidecar(LABELS={"app": "web"}))[SECURE].HasField("transport_socket")


def test_nothing_is_taken_for_mixers_port_by_its_number_alone(world: Any, sidecar: Any) -> None:
    mesh = world(MIXER, pod("mizzen-mixer"), settings=MeshConfig(mixer_check_server=f"{HOST}:9091"))
    assert not mesh.clusters(sidecar(LABELS=ABLE))[SECURE].HasField("transport_socket")


@pytest.mark.parametrize(("mode", "secure"), [("ISTIO_MUTUAL", True), ("DISABLE", False)])
def test_a_rule_has_the_last_word(mode: str, secure: bool, world: Any, sidecar: Any) -> None:
    """Charts of Istio 1.0 wrote the first one."""
    mesh = world(MIXER, pod("mizzen-mixer"), RULE % mode, settings=ON)
    assert mesh.clusters(sidecar(LABELS=ABLE))[SECURE].HasField("transport_socket") is secure


def test_another_account_of_mixer_is_told_of(world: Callable[..., Any], sidecar: Any) -> None:
    old = world(MIXER, pod("one"), settings=ON)
    new = world(MIXER, pod("two"), settings=ON, previous=old.mesh)
    proxy = sidecar(LABELS=ABLE)
    found = affected_types(difference(old.mesh, new.mesh), proxy, old.mesh, new.mesh)
    assert set(found) >= {CLUSTER, ENDPOINT}
