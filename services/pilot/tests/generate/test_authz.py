"""AuthorizationPolicy to RBAC: every attribute, scopes, actions, what is left on TCP. A stock Envoy reads it all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_pb2
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_pb2
from google.protobuf import json_format

from mizzen.api.parse import parse
from mizzen.pilot.base.labels import labels
from mizzen.pilot.generate.authz.conditions import Where, is_permission, permission, principals
from mizzen.pilot.generate.authz.filters import Setting, http_filters, network_filters
from mizzen.pilot.snapshot.policytargets import policies_for

ENVOY = Path(sys.executable).with_name("envoy")
DOMAINS = ("cluster.local", "old.local")
WHERE = Where("shop", DOMAINS)
SETTING = Setting(DOMAINS)

FILTERS = "envoy.extensions.filters.network"


def policies(*specs: str, namespace: str = "shop") -> Any:
    documents = [
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        f"metadata: {{name: p{index}, namespace: {namespace}}}\nspec: {spec}\n"
        for index, spec in enumerate(specs)
    ]
    parsed = parse("---\n".join(documents))
    assert [p for p in parsed.problems if p.severity == "error"] == []
    return list(parsed.resources)


def short(message: Any) -> Any:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def authenticated(**name: Any) -> Any:
    return {"authenticated": {"principal_name": name}}


def full(expression: str) -> Any:
    return {"safe_regex": {"regex": expression}}


def claim(path: list[str], value: Any) -> Any:
    one_of = [{"list_match": {"one_of": {"string_match": value}}}, {"string_match": value}]
    return token(path, {"or_match": {"value_matchers": one_of}})


def token(path: list[str], value: Any) -> Any:
    keys = [{"key": key} for key in ("payload", *path)]
    return {"metadata": {"filter": "envoy.filters.http.jwt_authn", "path": keys, "value": value}}


def user(issuer: Any, subject: Any) -> Any:
    return {"and_ids": {"ids": [token(["iss"], {"string_match": issuer}), token(["sub"], {"string_match": subject})]}}


VALUES = [
    (
        "hosts",
        "Shop.com",
        {"header": {"name": ":authority", "string_match": {"exact": "Shop.com", "ignore_case": True}}},
    ),
    ("hosts", "*.com", {"header": {"name": ":authority", "string_match": {"suffix": ".com", "ignore_case": True}}}),
    ("hosts", "*", {"header": {"name": ":authority", "present_match": True}}),
    ("methods", "GET", {"header": {"name": ":method", "string_match": {"exact": "GET"}}}),
    ("paths", "/a*", {"url_path": {"path": {"prefix": "/a"}}}),
    ("paths", "*/a", {"url_path": {"path": {"suffix": "/a"}}}),
    ("paths", "*", {"url_path": {"path": full(".+")}}),
    (
        "paths",
        "/a/{*}/{**}",
        {
            "uri_template": {
                "name": "envoy.path.match.uri_template.uri_template_matcher",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                    "path_template": "/a/*/**",
                },
            }
        },
    ),
    ("destination.port", "80", {"destination_port": 80}),
    ("destination.ip", "10.0.0.0/8", {"destination_ip": {"address_prefix": "10.0.0.0", "prefix_len": 8}}),
    ("connection.sni", "a.com", {"requested_server_name": {"exact": "a.com"}}),
    (
        "experimental.envoy.filters.network.mysql_proxy[db.t]",
        "[insert]",
        {
            "metadata": {
                "filter": "envoy.filters.network.mysql_proxy",
                "path": [{"key": "db.t"}],
                "value": {"list_match": {"one_of": {"string_match": {"exact": "insert"}}}},
            }
        },
    ),
    ("source.ip", "::1", {"direct_remote_ip": {"address_prefix": "::1", "prefix_len": 128}}),
    ("remote.ip", "10.1.2.3", {"remote_ip": {"address_prefix": "10.1.2.3", "prefix_len": 32}}),
    ("source.namespace", "a*", authenticated(**full(".*/ns/a.*/.*"))),
    ("source.serviceAccount", "web", authenticated(**full("spiffe://.+/ns/shop/(.+/|)sa/web(/.+)?"))),
    ("source.serviceAccount", "a/web", authenticated(**full("spiffe://.+/ns/a/(.+/|)sa/web(/.+)?"))),
    ("source.trustDomain", "a.b", authenticated(**full(r"spiffe://a\.b/.*"))),
    ("source.trustDomain", "*.b", authenticated(**full(r"spiffe://[^/]*\.b/.*"))),
    ("source.trustDomain", "*", authenticated(**full("spiffe://.+"))),
    ("source.principal", "td/ns/a/sa/b", authenticated(exact="spiffe://td/ns/a/sa/b")),
    ("source.principal", "td/ns/a/*", authenticated(prefix="spiffe://td/ns/a/")),
    ("source.principal", "*/sa/b", authenticated(**full("spiffe://.*/sa/b"))),
    ("source.principal", "*", authenticated(**full(".+"))),
    ("request.headers[x-a]", "b*", {"header": {"name": "x-a", "string_match": {"prefix": "b"}}}),
    ("request.headers[x-a]", "*", {"header": {"name": "x-a", "present_match": True}}),
    ("request.auth.audiences", "a", claim(["aud"], {"exact": "a"})),
    ("request.auth.presenter", "a", claim(["azp"], {"exact": "a"})),
    ("request.auth.claims[a][b]", "c", claim(["a", "b"], {"exact": "c"})),
    ("request.auth.principal", "https://a.com/me", user({"exact": "https://a.com"}, {"exact": "me"})),
    ("request.auth.principal", "*", user(full(".+"), full(".+"))),
    ("request.auth.principal", "*/me", user(full(".+"), {"exact": "me"})),
    ("request.auth.principal", "*.com/me", user({"suffix": ".com"}, {"exact": "me"})),
    ("request.auth.principal", "*.com/me*", user({"suffix": ".com"}, {"exact": "me*"})),
    ("request.auth.principal", "https://a.com/*", user({"exact": "https://a.com"}, full(".+"))),
    ("request.auth.principal", "https://a*/me*", user({"exact": "https://a*"}, {"prefix": "me"})),
    ("request.auth.principal", "*me", user(full(".+"), {"suffix": "me"})),
    ("request.auth.principal", "me*", user({"prefix": "me"}, full(".+"))),
    ("request.auth.principal", "me", user({"exact": "me"}, {"exact": ""})),
]


@pytest.mark.parametrize(("key", "value", "expected"), VALUES)
def test_each_attribute(key: str, value: str, expected: Any) -> None:
    if is_permission(key):
        assert short(permission(key, value)) == expected
    else:
        (made,) = principals(key, value, WHERE)
        assert short(made) == expected


def test_a_principal_is_known_under_every_name_of_the_trust_domain() -> None:
    made = principals("source.principal", "old.local/ns/a/sa/b", WHERE)
    assert [short(each) for each in made] == [
        authenticated(exact="spiffe://cluster.local/ns/a/sa/b"),
        authenticated(exact="spiffe://old.local/ns/a/sa/b"),
    ]


def unpacked(filters: list[Any], message: Any) -> list[Any]:
    found = []
    for each in filters:
        config = message()
        assert each.typed_config.Unpack(config)
        found.append(config)
    return found


def http(*specs: str) -> list[Any]:
    return unpacked(http_filters(policies(*specs), SETTING), http_pb2.RBAC)


def tcp(*specs: str) -> list[Any]:
    return unpacked(network_filters(policies(*specs), SETTING), network_pb2.RBAC)


def test_denials_come_before_permissions() -> None:
    audit, deny, allow = http("{rules: [{}]}", "{action: DENY, rules: [{}]}", "{action: AUDIT, rules: [{}]}")
    assert [each.rules.action for each in (audit, deny, allow)] == [
        rbac_pb2.RBAC.LOG,
        rbac_pb2.RBAC.DENY,
        rbac_pb2.RBAC.ALLOW,
    ]
    assert list(allow.rules.policies) == ["ns[shop]-policy[p0]-rule[0]"]


def test_an_allow_without_rules_allows_nothing() -> None:
    (allow,) = http("{}")
    assert allow.HasField("rules")
    assert not allow.rules.policies


def test_values_are_alternatives_and_fields_hold_together() -> None:
    (allow,) = http(
        "{rules: [{from: [{source: {namespaces: [a, b], notNamespaces: [c]}}],"
        " to: [{operation: {methods: [GET]}}, {operation: {paths: [/a], ports: ['80']}}]}]}"
    )
    policy = allow.rules.policies["ns[shop]-policy[p0]-rule[0]"]
    assert len(policy.permissions) == 2
    assert len(policy.permissions[1].and_rules.rules) == 2
    (principal,) = policy.principals
    one_of, none_of = principal.and_ids.ids
    assert len(one_of.or_ids.ids) == 2
    assert len(none_of.not_id.or_ids.ids) == 1


def test_conditions_join_every_alternative() -> None:
    (allow,) = http(
        "{rules: [{from: [{source: {namespaces: [a]}}, {source: {namespaces: [b]}}],"
        " when: [{key: source.ip, values: [10.0.0.1]}, {key: destination.port, notValues: ['80']}]}]}"
    )
    policy = allow.rules.policies["ns[shop]-policy[p0]-rule[0]"]
    assert [len(each.and_ids.ids) for each in policy.principals] == [2, 2]
    assert policy.permissions[0].and_rules.rules[0].HasField("not_rule")


def test_on_tcp_an_allow_with_http_conditions_matches_nothing() -> None:
    (allow,) = tcp("{rules: [{to: [{operation: {ports: ['80']}}]}, {to: [{operation: {methods: [GET]}}]}]}")
    assert list(allow.rules.policies) == ["ns[shop]-policy[p0]-rule[0]"]
    assert allow.stat_prefix == "tcp."


def test_on_tcp_the_client_is_whoever_connects() -> None:
    (allow,) = tcp("{rules: [{from: [{source: {remoteIpBlocks: [10.0.0.0/8]}}]}]}")
    (policy,) = allow.rules.policies.values()
    (block,) = policy.principals[0].and_ids.ids[0].or_ids.ids
    assert short(block) == {"remote_ip": {"address_prefix": "10.0.0.0", "prefix_len": 8}}


def test_on_tcp_a_denial_loses_its_http_conditions() -> None:
    (deny,) = tcp("{action: DENY, rules: [{to: [{operation: {methods: [GET], ports: ['80']}}]}]}")
    (made,) = deny.rules.policies["ns[shop]-policy[p0]-rule[0]"].permissions
    assert short(made) == {"and_rules": {"rules": [{"or_rules": {"rules": [{"destination_port": 80}]}}]}}


def test_what_is_only_tried_is_a_shadow_rule() -> None:
    tried = parse(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        'metadata: {name: p, namespace: shop, annotations: {istio.io/dry-run: "true"}}\n'
        "spec: {action: DENY, rules: [{}]}\n"
    ).resources
    (deny,) = unpacked(http_filters(tried, SETTING), http_pb2.RBAC)
    assert not deny.HasField("rules")
    assert deny.shadow_rules_stat_prefix == "istio_dry_run_deny_"


def test_policies_of_the_own_and_the_root_namespace_apply() -> None:
    everything = [
        *policies("{}", "{selector: {matchLabels: {app: web}}}", "{selector: {matchLabels: {app: db}}}"),
        *policies("{}", namespace="istio-system"),
        *policies("{}", namespace="other"),
    ]
    found = policies_for(everything, "shop", labels({"app": "web", "v": "1"}), "istio-system")
    assert [f"{each.metadata.namespace}/{each.metadata.name}" for each in found] == [
        "shop/p0",
        "shop/p1",
        "istio-system/p0",
    ]


def test_a_stock_envoy_reads_it_all(tmp_path: Path) -> None:
    rules = []
    fields = {"hosts": "hosts", "methods": "methods", "paths": "paths"}
    for key, value, _ in VALUES:
        if key in fields:
            rules.append({"to": [{"operation": {fields[key]: [value]}}]})
        else:
            rules.append({"when": [{"key": key, "values": [value], "notValues": [value]}]})
    spec = yaml.safe_dump({"rules": rules}, default_flow_style=True, width=1e9).strip()
    made = policies(spec, spec.replace("{rules", "{action: DENY, rules"))
    manager = {
        "@type": f"type.googleapis.com/{FILTERS}.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "x",
        "route_config": {"name": "r", "virtual_hosts": []},
        "http_filters": [
            *[json_format.MessageToDict(each) for each in http_filters(made, SETTING)],
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            },
        ],
    }
    listener = {
        "name": "l",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [
            {
                "filters": [
                    *[json_format.MessageToDict(each) for each in network_filters(made, SETTING)],
                    {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager},
                ]
            }
        ],
    }
    config = tmp_path / "envoy.json"
    config.write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
    command = [ENVOY, "--mode", "validate", "--concurrency", "1", "-l", "warning", "-c", config]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
