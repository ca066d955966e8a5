"""AuthorizationPolicy with action CUSTOM: whom it asks, as filters; what becomes of it when nobody can be asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2 as http_ext_authz_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_pb2
from envoy.extensions.filters.network.ext_authz.v3 import ext_authz_pb2 as network_ext_authz_pb2
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_pb2
from google.protobuf import json_format

from mizzen.api.parse import parse
from mizzen.pilot.app.meshconfig import parse_mesh_config
from mizzen.pilot.base.labels import labels
from mizzen.pilot.base.protocol import Protocol
from mizzen.pilot.generate.authz.extauthz import resolve
from mizzen.pilot.generate.authz.filters import Setting, custom_filters, http_filters, network_filters
from mizzen.pilot.snapshot import authorizers
from mizzen.pilot.snapshot.policytargets import policies_for
from mizzen.pilot.snapshot.service import Port, Service

ENVOY = Path(sys.executable).with_name("envoy")
MESH = """
extensionProviders:
- name: ask
  envoyExtAuthzGrpc:
    {service: authz/opa.local, port: 9000, timeout: 0.5s, failOpen: true, statusOnError: "503",
     includeRequestBodyInCheck: {maxRequestBytes: 100, allowPartialMessage: true, packAsBytes: true}}
- name: look
  envoyExtAuthzHttp:
    service: opa.local
    port: 9000
    pathPrefix: /check
    includeRequestHeadersInCheck: [cookie, x-a-*, "*-id"]
    includeAdditionalHeadersInCheck: {x-mesh: mine, x-b: c}
    headersToUpstreamOnAllow: [x-user]
    headersToDownstreamOnDeny: [set-cookie]
    headersToDownstreamOnAllow: [x-ok]
- name: tracing
  zipkin: {service: zipkin.local, port: 9411}
"""
SERVICES = {"opa.local": (Service("opa.local", "opa", "authz", (Port(9000, "grpc", Protocol.GRPC),)),)}


def setting(text: str = MESH) -> Setting:
    settings = parse_mesh_config(text)
    return Setting(("cluster.local",), {each.name: resolve(each, SERVICES) for each in settings.authorizers})


def custom(*providers: str) -> Any:
    documents = [
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        f"metadata: {{name: p{index}, namespace: shop}}\n"
        f"spec: {{action: CUSTOM, provider: {{name: {name}}}, rules: [{{to: [{{operation: {{paths: [/admin]}}}}]}}]}}\n"
        for index, name in enumerate(providers)
    ]
    parsed = parse("---\n".join(documents))
    assert parsed.problems == ()
    return list(parsed.resources)


def unpacked(item: Any, message: Any) -> Any:
    found = message()
    assert item.typed_config.Unpack(found)
    return found


def test_shadow_rules_say_which_requests_are_asked_about() -> None:
    rbac, asking = custom_filters(custom("ask"), setting())
    rules = unpacked(rbac, http_pb2.RBAC)
    assert not rules.HasField("rules")
    assert list(rules.shadow_rules.policies) == ["istio-ext-authz-ns[shop]-policy[p0]-rule[0]"]
    assert rules.shadow_rules_stat_prefix == "istio_ext_authz_"
    condition = unpacked(asking, http_ext_authz_pb2.ExtAuthz).filter_enabled_metadata
    assert condition.filter == rbac.name == "envoy.filters.http.rbac"
    assert condition.path[0].key == "istio_ext_authz_shadow_effective_policy_id"
    assert condition.value.string_match.prefix == "istio-ext-authz"


def test_a_grpc_provider() -> None:
    _, asking = custom_filters(custom("ask"), setting())
    made = json_format.MessageToDict(unpacked(asking, http_ext_authz_pb2.ExtAuthz), preserving_proto_field_name=True)
    del made["filter_enabled_metadata"]
    assert made == {
        "grpc_service": {
            "envoy_grpc": {"cluster_name": "outbound|9000||opa.local", "authority": "outbound_.9000_._.opa.local"},
            "timeout": "0.500s",
        },
        "transport_api_version": "V3",
        "failure_mode_allow": True,
        "status_on_error": {"code": "ServiceUnavailable"},
        "with_request_body": {"max_request_bytes": 100, "allow_partial_message": True, "pack_as_bytes": True},
    }


def test_an_http_provider() -> None:
    _, asking = custom_filters(custom("look"), setting())
    made = json_format.MessageToDict(unpacked(asking, http_ext_authz_pb2.ExtAuthz), preserving_proto_field_name=True)
    assert made["allowed_headers"]["patterns"] == [
        {"exact": "cookie", "ignore_case": True},
        {"prefix": "x-a-", "ignore_case": True},
        {"suffix": "-id", "ignore_case": True},
    ]
    assert made["http_service"] == {
        "server_uri": {"uri": "http://opa.local", "cluster": "outbound|9000||opa.local", "timeout": "600s"},
        "path_prefix": "/check",
        "authorization_request": {"headers_to_add": [{"key": "x-b", "value": "c"}, {"key": "x-mesh", "value": "mine"}]},
        "authorization_response": {
            "allowed_upstream_headers": {"patterns": [{"exact": "x-user", "ignore_case": True}]},
            "allowed_client_headers": {"patterns": [{"exact": "set-cookie", "ignore_case": True}]},
            "allowed_client_headers_on_success": {"patterns": [{"exact": "x-ok", "ignore_case": True}]},
        },
    }


def test_connections_are_asked_about_over_grpc_alone() -> None:
    rbac, asking = network_filters(custom("ask"), setting())
    # On TCP the path is left out of the conditions: in doubt the authorizer is asked.
    (rule,) = unpacked(rbac, network_pb2.RBAC).shadow_rules.policies.values()
    assert rule.permissions[0].any
    assert (
        unpacked(asking, network_ext_authz_pb2.ExtAuthz).filter_enabled_metadata.filter == "envoy.filters.network.rbac"
    )
    assert network_filters(custom("look"), setting()) == []


NOBODY = [
    pytest.param(("unknown",), MESH, id="no such provider"),
    pytest.param(("ask", "look"), MESH, id="two providers"),
    pytest.param(("tracing",), MESH, id="a provider of something else"),
    pytest.param(("ask",), MESH.replace("port: 9000, timeout", "port: 9001, timeout"), id="no such port"),
    pytest.param(("ask",), MESH.replace("authz/opa", "other/opa"), id="no such service"),
]


@pytest.mark.parametrize(("providers", "text"), NOBODY)
def test_what_nobody_can_be_asked_about_is_refused(providers: tuple[str, ...], text: str) -> None:
    made = custom(*providers)
    (deny,) = custom_filters(made, setting(text))
    rules = unpacked(deny, http_pb2.RBAC).rules
    assert rules.action == rules.DENY
    assert "ns[shop]-policy[p0]-rule[0]-deny-due-to-bad-CUSTOM-action" in rules.policies
    assert http_filters(made, setting(text)) == []
    (tcp,) = network_filters(made, setting(text))
    assert unpacked(tcp, network_pb2.RBAC).rules.policies


def test_pilot_tells_why_nobody_can_be_asked() -> None:
    settings = parse_mesh_config(MESH)
    (problem,) = authorizers.problems(custom("ask", "nobody"), settings, SERVICES)
    assert problem.path == "spec.provider.name"
    assert "'nobody'" in problem.message
    assert "ask, look" in problem.message
    (problem,) = authorizers.problems(custom("ask"), settings, {})
    assert "no service authz/opa.local" in problem.message


WRONG = [
    ("port: 9000, timeout", "port: 0, timeout", "port"),
    ('statusOnError: "503"', 'statusOnError: "abc"', "statusOnError"),
    ("pathPrefix: /check", "pathPrefix: check", "must begin with /"),
    ("[x-user]", "['*']", "header"),
    ("name: look", "name: ask", "two providers"),
    ("maxRequestBytes: 100", "maxRequestBytes: 0", "maxRequestBytes"),
]


@pytest.mark.parametrize(("good", "bad", "said"), WRONG)
def test_a_bad_provider_is_told(good: str, bad: str, said: str) -> None:
    assert good in MESH
    with pytest.raises(ValueError, match=said):
        parse_mesh_config(MESH.replace(good, bad, 1))


def test_a_policy_for_a_gateway_is_for_its_proxies_alone() -> None:
    (policy,) = parse(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop}\n"
        "spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: front}]}\n"
    ).resources
    front = labels({"gateway.networking.k8s.io/gateway-name": "front"})
    assert policies_for([policy], "shop", front, "istio-system") == [policy]
    assert policies_for([policy], "other", front, "istio-system") == []
    assert policies_for([policy], "shop", labels({"app": "front"}), "istio-system") == []


def test_a_stock_envoy_reads_it_all(tmp_path: Path) -> None:
    clusters = [
        {
            "name": "outbound|9000||opa.local",
            "type": "STATIC",
            "connect_timeout": "1s",
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {"http2_protocol_options": {}},
                }
            },
        }
    ]
    chains = []
    for provider in ("ask", "look"):
        manager = {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3."
            "HttpConnectionManager",
            "stat_prefix": "x",
            "route_config": {"name": "r", "virtual_hosts": []},
            "http_filters": [
                *[json_format.MessageToDict(each) for each in custom_filters(custom(provider), setting())],
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
                },
            ],
        }
        filters = [json_format.MessageToDict(each) for each in network_filters(custom(provider), setting())]
        filters.append({"name": "envoy.filters.network.http_connection_manager", "typed_config": manager})
        match = {"source_ports": [len(chains) + 1]}
        chains.append({"name": provider, "filters": filters, "filter_chain_match": match})
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    listeners = [{"name": "l", "address": address, "filter_chains": chains}]
    config = tmp_path / "envoy.json"
    config.write_text(json.dumps({"static_resources": {"listeners": listeners, "clusters": clusters}}))
    command = [ENVOY, "--mode", "validate", "--concurrency", "1", "-l", "warning", "-c", config]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
