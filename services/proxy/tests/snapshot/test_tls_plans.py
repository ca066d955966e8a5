"""Transport sockets of gateways and of DestinationRules to plans, and what of them is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2  # noqa: F401  # registers the type
from envoy.extensions.filters.network.sni_cluster.v3 import sni_cluster_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2  # noqa: F401
from google.protobuf.json_format import ParseDict

from mizzen.proxy.engine.match_plan import StringMatch
from mizzen.proxy.engine.plan import ChoicePlan, ClusterPlan, ListenerPlan, TcpPlan
from mizzen.proxy.engine.tls_plan import NameMatch, ServerTlsPlan, SocketsPlan, TlsPlan
from mizzen.proxy.snapshot.compiler import compile_resource
from mizzen.proxy.snapshot.result import Compiled, Rejected

Make = dict[str, Callable[..., Any]]
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
ADS = {"ads": {}, "resource_api_version": "V3"}
AGENT = {"api_config_source": {"api_type": "GRPC", "grpc_services": [{"envoy_grpc": {"cluster_name": "sds-grpc"}}]}}
ELSEWHERE = {"api_config_source": {"api_type": "GRPC", "grpc_services": [{"envoy_grpc": {"cluster_name": "vault"}}]}}
SHOP = {"tls_certificate_sds_secret_configs": [{"name": "kubernetes://shop", "sds_config": ADS}]}
DIGEST = "a1" * 32
KEY_DIGEST = "NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A="


def clients(**more: Any) -> dict[str, Any]:
    """Validation with roots that come by SDS."""
    roots = {"name": "kubernetes://shop-cacert", "sds_config": ADS}
    return {
        "combined_validation_context": {
            "default_validation_context": more,
            "validation_context_sds_secret_config": roots,
        }
    }


def gateway(common: dict[str, Any], **context: Any) -> Any:
    socket = {
        "name": "tls",
        "typed_config": {"@type": f"{TLS}.DownstreamTlsContext", "common_tls_context": common} | context,
    }
    inspector = "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
    tcp = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "t",
        "cluster": "c",
    }
    filters = [{"name": "tcp", "typed_config": tcp}]
    names = {"server_names": ["shop.example"], "transport_protocol": "tls"}
    passed = {"server_names": ["*.bank.example"], "transport_protocol": "tls"}
    return ParseDict(
        {
            "name": "0.0.0.0_8443",
            "address": {"socket_address": {"address": "0.0.0.0", "port_value": 8443}},
            "listener_filters": [{"name": "tls", "typed_config": {"@type": inspector}}],
            "filter_chains": [
                {"filter_chain_match": names, "filters": filters, "transport_socket": socket},
                {"filter_chain_match": passed, "filters": filters},
            ],
        },
        listener_pb2.Listener(),
    )


def test_the_name_that_is_asked_for_may_be_the_clusters() -> None:
    message = gateway(SHOP)
    passing = message.filter_chains[1].filters
    passing.insert(0, passing[0])
    passing[0].typed_config.Pack(sni_cluster_pb2.SniCluster())
    compiled = compile_resource(message)
    assert isinstance(compiled, Compiled)
    assert isinstance(compiled.plan, ListenerPlan)
    assert [getattr(handler, "by_server_name", None) for handler in compiled.plan.handlers] == [False, True]


def server(common: dict[str, Any], **context: Any) -> ServerTlsPlan | str:
    """The plan of the chain that ends TLS, or why its connections are refused."""
    compiled = compile_resource(gateway(common, **context))
    assert isinstance(compiled, Compiled)
    assert isinstance(compiled.plan, ListenerPlan)
    assert isinstance(compiled.plan.handler, ChoicePlan)
    ends, passes = compiled.plan.handler.chains
    assert isinstance(passes.handler, TcpPlan)
    assert passes.tls is None
    return ends.tls or getattr(ends.handler, "reason", "")


def test_simple() -> None:
    plan = server(SHOP | {"alpn_protocols": ["h2", "http/1.1"]}, require_client_certificate=False)
    assert plan == ServerTlsPlan(TlsPlan("kubernetes://shop", protocols=("h2", "http/1.1")))


def test_mutual_by_names_and_digests() -> None:
    names = [{"san_type": "DNS", "matcher": {"exact": "client.example"}}]
    checks = clients(
        match_typed_subject_alt_names=names,
        verify_certificate_hash=[DIGEST.upper()],
        verify_certificate_spki=[KEY_DIGEST],
    )
    plan = server(SHOP | checks, require_client_certificate=True)
    assert plan == ServerTlsPlan(
        TlsPlan(
            "kubernetes://shop",
            "kubernetes://shop-cacert",
            (NameMatch("DNS", StringMatch("exact", "client.example")),),
            digests=(DIGEST,),
            key_digests=(KEY_DIGEST,),
        ),
        requires_certificate=True,
    )


def test_optional_mutual_asks_and_does_not_insist() -> None:
    plan = server(SHOP | clients(), require_client_certificate=False)
    assert isinstance(plan, ServerTlsPlan)
    assert plan.common.roots == "kubernetes://shop-cacert"
    assert not plan.requires_certificate


def test_files_as_data_sources_are_secrets_of_the_agent() -> None:
    pair = {"certificate_chain": {"filename": "/a/tls.crt"}, "private_key": {"filename": "/a/tls.key"}}
    context = {"trusted_ca": {"filename": "/a/ca.pem"}, "crl": {"filename": "/a/crl.pem"}}
    plan = server({"tls_certificates": [pair], "validation_context": context})
    assert isinstance(plan, ServerTlsPlan)
    assert plan.common.secrets == ("file-cert:/a/tls.crt~/a/tls.key", "file-root:/a/ca.pem", "file-crl:/a/crl.pem")


@pytest.mark.parametrize(
    ("params", "versions"),
    [
        ({}, ("1.2", "1.3")),
        ({"tls_minimum_protocol_version": "TLSv1_3"}, ("1.3", "1.3")),
        ({"tls_maximum_protocol_version": "TLSv1_2"}, ("1.2", "1.2")),
        ({"tls_minimum_protocol_version": "TLSv1_0"}, ("1.2", "1.3")),
    ],
)
def test_versions(params: dict[str, Any], versions: tuple[str, str]) -> None:
    plan = server(SHOP | {"tls_params": params})
    assert isinstance(plan, ServerTlsPlan)
    assert (plan.common.lowest, plan.common.highest) == versions


def test_ciphers_are_those_that_are_known_and_the_rest_is_told() -> None:
    suites = ["[ECDHE-ECDSA-AES256-GCM-SHA384|ECDHE-RSA-AES256-GCM-SHA384]", "AES128-GCM-SHA256", "NOPE", "HIGH"]
    message = gateway(SHOP | {"tls_params": {"cipher_suites": suites}})
    compiled = compile_resource(message)
    assert isinstance(compiled, Compiled)
    assert [item.field.rpartition(".")[2] for item in compiled.unsupported] == [
        "cipher_suites[NOPE]",
        "cipher_suites[HIGH]",
    ]
    plan = server(SHOP | {"tls_params": {"cipher_suites": suites}})
    assert isinstance(plan, ServerTlsPlan)
    assert plan.common.ciphers == (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "AES128-GCM-SHA256",
    )


@pytest.mark.parametrize(
    ("common", "context", "reason"),
    [
        ({}, {}, "tls_certificate_sds_secret_configs: is missing"),
        (SHOP, {"require_client_certificate": True}, "no roots to check it by"),
        (SHOP, {"require_sni": True}, "require_sni: is not supported"),
        (SHOP, {"ocsp_staple_policy": "MUST_STAPLE"}, "ocsp_staple_policy: is not supported"),
        (SHOP | {"tls_params": {"tls_maximum_protocol_version": "TLSv1_1"}}, {}, "must be TLSv1_2 or TLSv1_3"),
        (
            SHOP
            | {
                "tls_params": {
                    "tls_minimum_protocol_version": "TLSv1_3",
                    "tls_maximum_protocol_version": "TLSv1_2",
                }
            },
            {},
            "is above tls_maximum_protocol_version",
        ),
        (SHOP | {"tls_params": {"cipher_suites": ["NOPE"]}}, {}, "cipher_suites: none is known: NOPE"),
        (SHOP | {"tls_params": {"cipher_suites": ["TLS_AES_128_GCM_SHA256"]}}, {}, "cipher_suites: none is known: TLS"),
        (SHOP | clients(allow_expired_certificate=True), {}, "allow_expired_certificate: is not supported"),
        (SHOP | clients(trust_chain_verification="ACCEPT_UNTRUSTED"), {}, "trust_chain_verification"),
        (SHOP | clients(verify_certificate_hash=["12"]), {}, "no SHA-256"),
        (SHOP | clients(verify_certificate_spki=["12"]), {}, "no SHA-256"),
        (SHOP | clients(match_typed_subject_alt_names=[{"san_type": "OTHER_NAME", "oid": "1.2"}]), {}, "san_type"),
        (
            SHOP | {"validation_context": {"match_subject_alt_names": [{"exact": "a"}]}},
            {},
            "anybody can claim these names",
        ),
        (SHOP | {"validation_context": {"verify_certificate_hash": [DIGEST]}}, {}, "trusted_ca: is needed"),
        (SHOP | {"validation_context": {"trusted_ca": {"inline_string": "PEM"}}}, {}, "needs a filename"),
        (
            {"tls_certificate_sds_secret_configs": [{"name": "a", "sds_config": ELSEWHERE}]},
            {},
            "[0].sds_config: only ads, and the agent's cluster sds-grpc, are supported",
        ),
        (
            {"tls_certificate_sds_secret_configs": [{"name": "shop", "sds_config": AGENT}]},
            {},
            "the agent has no secret 'shop'",
        ),
        (
            {"tls_certificate_sds_secret_configs": [{"name": "default", "sds_config": ADS}]},
            {},
            "does not come by ads",
        ),
        (
            {"tls_certificate_sds_secret_configs": [{"name": name, "sds_config": ADS} for name in "ab"]},
            {},
            "more than one certificate is not supported",
        ),
        (SHOP | {"custom_handshaker": {"name": "x"}}, {}, "custom_handshaker: is not supported"),
    ],
)
def test_what_cannot_be_held_to_is_refused(common: dict[str, Any], context: dict[str, Any], reason: str) -> None:
    refusal = server(common, **context)
    assert isinstance(refusal, str)
    assert refusal.startswith("transport_socket.typed_config")
    assert reason in refusal


def upstream(common: dict[str, Any], **options: Any) -> SocketsPlan | str:
    """The sockets of a cluster of a DestinationRule, or why it is rejected."""
    context = {"@type": f"{TLS}.UpstreamTlsContext", "common_tls_context": common, "sni": options.pop("sni", "")}
    http = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "upstream_http_protocol_options": options,
        "explicit_http_config": {"http_protocol_options": {}},
    }
    compiled = compile_resource(
        ParseDict(
            {
                "name": "outbound|443||api.example",
                "type": "STATIC",
                "transport_socket": {"name": "tls", "typed_config": context},
                "typed_extension_protocol_options": {
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http,
                },
            },
            cluster_pb2.Cluster(),
        )
    )
    if isinstance(compiled, Rejected):
        return str(compiled)
    assert isinstance(compiled.plan, ClusterPlan)
    assert compiled.unsupported == ()
    return compiled.plan.sockets


def test_a_server_is_checked_by_the_systems_roots_and_the_requests_host() -> None:
    roots = {"trusted_ca": {"filename": "/etc/ssl/certs/ca-certificates.crt"}}
    plan = upstream({"validation_context": roots}, auto_sni=True, auto_san_validation=True)
    assert isinstance(plan, SocketsPlan)
    assert plan.goes_by_host
    assert plan.secrets == ("file-root:/etc/ssl/certs/ca-certificates.crt",)


def test_a_server_that_is_not_checked() -> None:
    plan = upstream({"validation_context": {}}, sni="api.example")
    assert isinstance(plan, SocketsPlan)
    assert plan.otherwise is not None
    assert (plan.otherwise.server_name, plan.otherwise.common, plan.goes_by_host) == ("api.example", TlsPlan(), False)


def test_names_of_any_kind() -> None:
    plan = upstream(clients(match_subject_alt_names=[{"exact": "spiffe://a/b"}]))
    assert isinstance(plan, SocketsPlan)
    assert plan.otherwise is not None
    assert {name.kind for name in plan.otherwise.common.names} == {"URI", "DNS", "email", "IP Address"}


def test_a_cluster_that_asks_too_much_is_rejected() -> None:
    assert upstream(SHOP | clients(max_verify_depth=1)) == (
        "Cluster outbound|443||api.example: transport_socket.typed_config.common_tls_context."
        "combined_validation_context.default_validation_context.max_verify_depth: is not supported"
    )
