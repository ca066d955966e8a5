"""Envoy's RBAC from message to verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_pb2
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_pb2
from google.protobuf import json_format

from mizzen.proxy.engine.rbac import Guard
from mizzen.proxy.snapshot.rbac import rbac_filter
from mizzen.proxy.snapshot.result import Invalid


@dataclass
class Request:
    method: bytes = b"GET"
    path: bytes = b"/shop/cart?id=1"
    authority: bytes = b"Shop.com"
    scheme: bytes = b"http"
    headers: Mapping[bytes, bytes] = field(default_factory=lambda: {b"x-team": b"blue"})

    def header(self, name: bytes) -> bytes | None:
        return self.headers.get(name)

    def values(self, name: bytes) -> list[bytes]:
        value = self.headers.get(name)
        return [] if value is None else value.split(b",")

    def metadata(self, namespace: str) -> Mapping[str, object]:
        raise NotImplementedError("the subject is asked")


@dataclass
class Subject:
    request: Request | None = field(default_factory=Request)
    peer_names: Sequence[bytes] = (b"spiffe://cluster.local/ns/web/sa/shop",)
    addresses: Mapping[str, str] = field(
        default_factory=lambda: {"peer": "10.0.0.7", "client": "203.0.113.9", "local": "::ffff:10.1.0.1"}
    )
    local_port: int = 9080
    server_name: str = "outbound_.9080_._.shop"
    claims: Mapping[str, object] = field(default_factory=lambda: {"payload": {"iss": "me", "aud": ["a", "b"], "n": 1}})

    def metadata(self, namespace: str) -> Mapping[str, object]:
        return self.claims if namespace == "jwt" else {}


def claim(value: Any, *path: str) -> Any:
    return {"metadata": {"filter": "jwt", "path": [{"key": key} for key in path], "value": value}}


def template(text: str) -> Any:
    kind = "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig"
    return {"uriTemplate": {"name": "x", "typedConfig": {"@type": kind, "pathTemplate": text}}}


PERMISSIONS: list[tuple[Any, bool, bool]] = [  # rule, verdict on the request, verdict on a TCP connection
    ({"any": True}, True, True),
    ({"header": {"name": ":method", "stringMatch": {"exact": "GET"}}}, True, False),
    ({"header": {"name": ":authority", "stringMatch": {"exact": "shop.com", "ignoreCase": True}}}, True, False),
    ({"header": {"name": "x-team", "stringMatch": {"prefix": "bl"}}}, True, False),
    ({"header": {"name": "x-team", "stringMatch": {"exact": "red"}}}, False, False),
    ({"header": {"name": "x-none", "presentMatch": True}}, False, False),
    ({"urlPath": {"path": {"exact": "/shop/cart"}}}, True, False),
    ({"urlPath": {"path": {"suffix": "?id=1"}}}, False, False),
    ({"urlPath": {"path": {"safeRegex": {"regex": "/shop/.+"}}}}, True, False),
    (template("/*/cart"), True, False),
    (template("/shop/**"), True, False),
    (template("/*"), False, False),
    ({"destinationPort": 9080}, True, True),
    ({"destinationPortRange": {"start": 9000, "end": 9080}}, False, False),
    ({"destinationPortRange": {"start": 9080, "end": 9081}}, True, True),
    ({"destinationIp": {"addressPrefix": "10.1.0.0", "prefixLen": 16}}, True, True),
    ({"destinationIp": {"addressPrefix": "::", "prefixLen": 0}}, False, False),
    ({"requestedServerName": {"prefix": "outbound_.9080"}}, True, True),
    ({"notRule": {"header": {"name": ":method", "stringMatch": {"exact": "GET"}}}}, False, True),
    ({"andRules": {"rules": [{"any": True}, {"destinationPort": 1}]}}, False, False),
    ({"orRules": {"rules": [{"destinationPort": 1}, {"any": True}]}}, True, True),
]
PRINCIPALS: list[tuple[Any, bool]] = [
    ({"any": True}, True),
    ({"authenticated": {}}, True),
    ({"authenticated": {"principalName": {"exact": "spiffe://cluster.local/ns/web/sa/shop"}}}, True),
    ({"authenticated": {"principalName": {"safeRegex": {"regex": ".*/ns/web/.*"}}}}, True),
    ({"authenticated": {"principalName": {"safeRegex": {"regex": "ns/web"}}}}, False),
    ({"directRemoteIp": {"addressPrefix": "10.0.0.0", "prefixLen": 8}}, True),
    ({"remoteIp": {"addressPrefix": "10.0.0.0", "prefixLen": 8}}, False),
    ({"remoteIp": {"addressPrefix": "203.0.113.9", "prefixLen": 32}}, True),
    ({"header": {"name": "x-team", "presentMatch": True}}, True),
    ({"notId": {"authenticated": {}}}, False),
    ({"andIds": {"ids": [{"any": True}, {"notId": {"any": True}}]}}, False),
    ({"orIds": {"ids": [{"any": True}, {"notId": {"any": True}}]}}, True),
    (claim({"stringMatch": {"exact": "me"}}, "payload", "iss"), True),
    (claim({"listMatch": {"oneOf": {"stringMatch": {"exact": "b"}}}}, "payload", "aud"), True),
    (claim({"listMatch": {"oneOf": {"stringMatch": {"exact": "me"}}}}, "payload", "iss"), False),
    (claim({"stringMatch": {"exact": "1"}}, "payload", "n"), False),
    (claim({"stringMatch": {"exact": "x"}}, "payload", "iss", "deeper"), False),
    (
        claim(
            {"orMatch": {"valueMatchers": [{"stringMatch": {"exact": "x"}}, {"stringMatch": {"exact": "me"}}]}},
            "payload",
            "iss",
        ),
        True,
    ),
]


def guard(permission: Any = None, principal: Any = None, action: str = "ALLOW") -> Guard:
    policy = {"permissions": [permission or {"any": True}], "principals": [principal or {"any": True}]}
    message = json_format.ParseDict({"rules": {"action": action, "policies": {"it": policy}}}, http_pb2.RBAC())
    (plan,) = rbac_filter(message)
    return Guard(plan)


@pytest.mark.parametrize(("permission", "of_request", "of_connection"), PERMISSIONS)
def test_what_is_asked(permission: Any, of_request: bool, of_connection: bool) -> None:
    bound = guard(permission)
    assert bound.decide(Subject()).allowed == of_request
    assert bound.decide(Subject(request=None)).allowed == of_connection


@pytest.mark.parametrize(("principal", "expected"), PRINCIPALS)
def test_who_asks(principal: Any, expected: bool) -> None:
    assert guard(principal=principal).decide(Subject()).allowed == expected


BLUE = {"name": "x-team", "stringMatch": {"exact": "blue"}}


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        (BLUE, True),
        (BLUE | {"invertMatch": True}, False),
        ({"name": "x-team", "stringMatch": {"exact": "green,blue"}}, False),
        ({"name": "x-team", "stringMatch": {"exact": "red"}}, False),
        ({"name": "x-team", "presentMatch": True}, True),
    ],
)
def test_each_value_of_a_header_counts_for_itself(matcher: Any, expected: bool) -> None:
    both = Subject(request=Request(headers={b"x-team": b"green,blue"}))
    assert guard({"header": matcher}).decide(both).allowed == expected


def test_without_a_certificate_nobody_is_authenticated() -> None:
    nobody = Subject(peer_names=())
    assert not guard(principal={"authenticated": {}}).decide(nobody).allowed
    assert guard(principal={"notId": {"authenticated": {}}}).decide(nobody).allowed


def test_actions_and_which_policy_decided() -> None:
    assert guard(action="ALLOW").decide(Subject()) == (True, "it")
    assert guard(action="DENY").decide(Subject()) == (False, "it")
    assert guard(action="LOG").decide(Subject()) == (True, "it")
    never = {"notRule": {"any": True}}
    assert guard(never, action="ALLOW").decide(Subject()) == (False, "")
    assert guard(never, action="DENY").decide(Subject()) == (True, "")


def test_an_allow_without_policies_refuses_and_no_rules_refuse_nothing() -> None:
    (plan,) = rbac_filter(http_pb2.RBAC(rules=rbac_pb2.RBAC()))
    assert Guard(plan).decide(Subject()) == (False, "")
    assert rbac_filter(http_pb2.RBAC()) == ()


@pytest.mark.parametrize(
    ("permission", "path", "reason"),
    [
        ({}, "rules.policies[it].permissions[0]", "says nothing"),
        ({"andRules": {}}, "rules.policies[it].permissions[0].and_rules.rules", "is empty"),
        ({"orRules": {}}, "rules.policies[it].permissions[0].or_rules.rules", "is empty"),
        (
            {"header": {"name": "a", "stringMatch": {"safeRegex": {"regex": "("}}}},
            "rules.policies[it].permissions[0].header.string_match.safe_regex.regex",
            "is not an RE2 regular expression",
        ),
        (
            {"header": {"name": "a", "rangeMatch": {"start": 1, "end": 2}}},
            "rules.policies[it]",
            "envoy.config.route.v3.HeaderMatcher.range_match is not supported",
        ),
        (
            {"destinationIp": {"addressPrefix": "shop"}},
            "rules.policies[it].permissions[0].destination_ip",
            "does not appear to be an IPv4 or IPv6 network",
        ),
    ],
)
def test_a_guard_with_a_hole_is_refused(permission: Any, path: str, reason: str) -> None:
    policy = {"permissions": [permission], "principals": [{"any": True}]}
    message = json_format.ParseDict({"rules": {"policies": {"it": policy}}}, http_pb2.RBAC())
    with pytest.raises(Invalid) as caught:
        rbac_filter(message)
    assert caught.value.path == path
    assert reason in caught.value.reason


def test_the_filter_of_tcp_has_one_prefix_for_its_statistics() -> None:
    message = network_pb2.RBAC(rules=rbac_pb2.RBAC(), stat_prefix="tcp.", shadow_rules=rbac_pb2.RBAC())
    message.shadow_rules_stat_prefix = "dry_run_"
    assert [plan.stat_prefix for plan in rbac_filter(message)] == ["tcp.", "dry_run_"]
