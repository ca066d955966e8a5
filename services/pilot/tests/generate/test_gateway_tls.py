"""Gateways whose clients speak TLS: which chains there are, with which certificates, and where they lead."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2

SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  ports: [{port: 443, name: https, targetPort: 8443}]
---
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{port: 9080, name: http}, {port: 443, name: https}, {port: 6379, name: tcp}]}
"""
REVIEWS = "reviews.default.svc.cluster.local"
FILES = "serverCertificate: /a/tls.crt, privateKey: /a/tls.key"


def gateway(*servers: str) -> str:
    lines = "".join(f"  - {server}\n" for server in servers)
    return (
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: edge}\n"
        f"spec:\n  selector: {{istio: ingressgateway}}\n  servers:\n{lines}"
    )


def server(
    tls: str, hosts: str = "[shop.example]", protocol: str = "HTTPS", name: str = "https", port: int = 443
) -> str:
    return f"{{port: {{number: {port}, name: {name}, protocol: {protocol}}}, hosts: {hosts}, tls: {{{tls}}}}}"


def virtual_service(routes: str, hosts: str = "[shop.example]", name: str = "shop") -> str:
    return (
        f"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\n"
        f"spec: {{hosts: {hosts}, gateways: [edge], {routes}}}\n"
    )


TO_REVIEWS = f"route: [{{destination: {{host: {REVIEWS}, port: {{number: 9080}}}}}}]"
HTTP = virtual_service(f"http: [{{{TO_REVIEWS}}}]")


def chains(world: Any, router: Any, *texts: str) -> list[Any]:
    made = world(SERVICES, *texts)
    assert made.problems == []
    listener = made.listeners(router())["0.0.0.0_8443"]
    assert [item.name for item in listener.listener_filters] == ["envoy.filters.listener.tls_inspector"]
    return list(listener.filter_chains)


def context(chain: Any) -> Any:
    message = tls_pb2.DownstreamTlsContext()
    assert chain.transport_socket.typed_config.Unpack(message)
    return message


def certificates(message: Any) -> list[str]:
    return [config.name for config in message.common_tls_context.tls_certificate_sds_secret_configs]


def roots(message: Any) -> str:
    return str(message.common_tls_context.combined_validation_context.validation_context_sds_secret_config.name)


def test_simple_with_files(world: Any, router: Any) -> None:
    (chain,) = chains(world, router, gateway(server(f"mode: SIMPLE, {FILES}")), HTTP)
    assert list(chain.filter_chain_match.server_names) == ["shop.example"]
    tls = context(chain)
    assert certificates(tls) == ["file-cert:/a/tls.crt~/a/tls.key"]
    assert not tls.require_client_certificate.value
    assert tls.common_tls_context.WhichOneof("validation_context_type") is None
    assert list(tls.common_tls_context.alpn_protocols) == ["h2", "http/1.1"]
    assert tls.common_tls_context.tls_params.tls_minimum_protocol_version == 3
    assert chain.transport_socket_connect_timeout.seconds == 15


@pytest.mark.parametrize(
    ("mode", "requires"), [("SIMPLE", False), ("MUTUAL", True), ("OPTIONAL_MUTUAL", False), ("ISTIO_MUTUAL", True)]
)
def test_who_must_show_a_certificate(world: Any, router: Any, mode: str, requires: bool) -> None:
    files = "" if mode == "ISTIO_MUTUAL" else f", {FILES}, caCertificates: /a/ca.pem"
    (chain,) = chains(world, router, gateway(server(f"mode: {mode}{files}")), HTTP)
    tls = context(chain)
    assert tls.require_client_certificate.value is requires
    expected = {"SIMPLE": "", "ISTIO_MUTUAL": "ROOTCA"}
    assert roots(tls) == expected.get(mode, "file-root:/a/ca.pem")
    assert certificates(tls) == (["default"] if mode == "ISTIO_MUTUAL" else ["file-cert:/a/tls.crt~/a/tls.key"])


def test_what_is_asked_of_clients_certificates(world: Any, router: Any) -> None:
    digest = "a1" * 32
    checks = f"subjectAltNames: [client.example, 'spiffe://a/b'], verifyCertificateHash: [{digest}], caCrl: /a/crl.pem"
    tls = context(
        chains(world, router, gateway(server(f"mode: MUTUAL, {FILES}, caCertificates: /a/ca.pem, {checks}")), HTTP)[0]
    )
    default = tls.common_tls_context.combined_validation_context.default_validation_context
    names = [(match.san_type, match.matcher.exact) for match in default.match_typed_subject_alt_names]
    assert names == [(2, "client.example"), (3, "spiffe://a/b")]
    assert list(default.verify_certificate_hash) == [digest]
    assert default.crl.filename == "/a/crl.pem"


def test_versions_and_ciphers(world: Any, router: Any) -> None:
    limits = "minProtocolVersion: TLSV1_2, maxProtocolVersion: TLSV1_2, cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256]"
    params = context(
        chains(world, router, gateway(server(f"mode: SIMPLE, {FILES}, {limits}")), HTTP)[0]
    ).common_tls_context.tls_params
    assert (params.tls_minimum_protocol_version, params.tls_maximum_protocol_version) == (3, 3)
    assert list(params.cipher_suites) == ["ECDHE-RSA-AES128-GCM-SHA256"]


def test_credentials_come_from_pilot_and_nobody_waits_for_ever(world: Any, router: Any) -> None:
    made = world(SERVICES, gateway(server("mode: MUTUAL, credentialName: shop")), HTTP)
    (chain,) = made.listeners(router())["0.0.0.0_8443"].filter_chains
    tls = context(chain)
    assert (certificates(tls), roots(tls)) == (["kubernetes://shop"], "kubernetes://shop-cacert")
    (config,) = tls.common_tls_context.tls_certificate_sds_secret_configs
    assert config.sds_config.WhichOneof("config_source_specifier") == "ads"
    assert not config.sds_config.HasField("initial_fetch_timeout")


def test_each_https_server_has_routes_of_its_own(world: Any, router: Any) -> None:
    simple = f"mode: SIMPLE, {FILES}"
    bank = virtual_service(f"http: [{{{TO_REVIEWS}}}]", "[a.bank.example]", "bank")
    made = world(
        SERVICES,
        gateway(server(simple), server(simple, "['*.bank.example']", name="https-bank")),
        HTTP,
        bank,
    )
    assert made.problems == []
    found = made.listeners(router())["0.0.0.0_8443"].filter_chains
    names = []
    for chain in found:
        manager = hcm_pb2.HttpConnectionManager()
        chain.filters[0].typed_config.Unpack(manager)
        names.append((list(chain.filter_chain_match.server_names), manager.rds.route_config_name))
    shop, others = "https.8443.https.edge.default", "https.8443.https-bank.edge.default"
    assert names == [(["shop.example"], shop), (["*.bank.example"], others)]
    assert list(made.hosts(router(), shop)) == ["shop.example:8443"]
    assert list(made.hosts(router(), others)) == ["a.bank.example:8443"]


def test_a_name_is_shown_one_certificate_the_older_one(world: Any, router: Any) -> None:
    other = server("mode: SIMPLE, serverCertificate: /b.crt, privateKey: /b.key", name="other")
    (chain,) = chains(world, router, gateway(server(f"mode: SIMPLE, {FILES}"), other), HTTP)
    assert certificates(context(chain)) == ["file-cert:/a/tls.crt~/a/tls.key"]


def cluster(chain: Any) -> str:
    proxy = tcp_proxy_pb2.TcpProxy()
    assert chain.filters[-1].typed_config.Unpack(proxy)
    return str(proxy.cluster)


def test_passthrough_goes_by_the_routes_names(world: Any, router: Any) -> None:
    routes = virtual_service(
        "tls: [{match: [{sniHosts: [shop.example]}], "
        f"route: [{{destination: {{host: {REVIEWS}, port: {{number: 443}}}}}}]}}]"
    )
    (chain,) = chains(world, router, gateway(server("mode: PASSTHROUGH", protocol="TLS", name="tls")), routes)
    assert list(chain.filter_chain_match.server_names) == ["shop.example"]
    assert not chain.HasField("transport_socket")
    assert cluster(chain) == f"outbound|443||{REVIEWS}"


def test_bytes_inside_of_tls(world: Any, router: Any) -> None:
    routes = virtual_service(f"tcp: [{{route: [{{destination: {{host: {REVIEWS}, port: {{number: 6379}}}}}}]}}]")
    tls = server(f"mode: SIMPLE, {FILES}", protocol="TLS", name="tls")
    (chain,) = chains(world, router, gateway(tls), routes)
    assert list(chain.filter_chain_match.server_names) == ["shop.example"]
    assert certificates(context(chain)) == ["file-cert:/a/tls.crt~/a/tls.key"]
    assert cluster(chain) == f"outbound|6379||{REVIEWS}"


@pytest.mark.parametrize(
    ("tls", "problem"),
    [
        (
            "mode: SIMPLE, credentialName: shop",
            "credential kubernetes://shop of server 0 cannot be used",
        ),
    ],
)
def test_what_cannot_be_served_is_a_problem(world: Any, router: Any, tls: str, problem: str) -> None:
    made = world(SERVICES, gateway(server(tls)), HTTP)
    assert any(problem in found for found in made.problems), made.problems
