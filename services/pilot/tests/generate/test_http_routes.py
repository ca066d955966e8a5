"""VirtualService rules as Envoy routes, one fact per case."""

from datetime import timedelta
from typing import Any

import pytest
import yaml
from envoy.extensions.filters.http.cors.v3 import cors_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from google.protobuf import json_format

SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{port: 9080, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: two}
spec: {ports: [{port: 9080, name: http}, {port: 9081, name: http-b}]}
"""
TO = {"destination": {"host": "reviews"}}


def virtual_service(*http: Any) -> str:
    spec = {"hosts": ["reviews"], "http": list(http)}
    meta = {"name": "reviews"}
    return yaml.safe_dump(
        {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": meta, "spec": spec}
    )


def routes(world: Any, proxy: Any, *http: Any) -> list[dict[str, Any]]:
    made = world(SERVICES, virtual_service(*http))
    host = made.hosts(proxy, "9080")["reviews.default.svc.cluster.local:9080"]
    return [json_format.MessageToDict(route) for route in host.routes]


def route(world: Any, proxy: Any, **http: Any) -> dict[str, Any]:
    return routes(world, proxy, {"route": [TO], **http})[0]


def within(expected: Any, found: Any) -> bool:
    """Whether everything expected is found; other fields may be there too."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(key in found and within(expected[key], found[key]) for key in expected)
    return bool(expected == found)


HEADERS = [
    ({"method": {"exact": "GET"}}, {"name": ":method", "stringMatch": {"exact": "GET"}}),
    ({"authority": {"prefix": "a"}}, {"name": ":authority", "stringMatch": {"prefix": "a"}}),
    ({"scheme": {"exact": "http"}}, {"name": ":scheme", "stringMatch": {"exact": "http"}}),
    ({"headers": {"x-a": {"exact": "1"}}}, {"name": "x-a", "stringMatch": {"exact": "1"}}),
    ({"headers": {"x-a": {"regex": "a.*"}}}, {"name": "x-a", "stringMatch": {"safeRegex": {"regex": "a.*"}}}),
    ({"headers": {"x-a": {}}}, {"name": "x-a", "presentMatch": True}),
    ({"withoutHeaders": {"x-a": {}}}, {"name": "x-a", "presentMatch": True, "invertMatch": True}),
    ({"withoutHeaders": {"x-a": {"exact": "1"}}},
     {"name": "x-a", "stringMatch": {"exact": "1"}, "invertMatch": True, "treatMissingHeaderAsEmpty": True}),
]  # fmt: skip


@pytest.mark.parametrize(("match", "expected"), HEADERS)
def test_header_conditions(world: Any, sidecar: Any, match: dict[str, Any], expected: dict[str, Any]) -> None:
    found = route(world, sidecar(), match=[match])["match"]
    assert found == {"prefix": "/", "headers": [expected]}


MATCHES = [
    ({"uri": {"exact": "/a"}}, {"path": "/a"}),
    ({"uri": {"prefix": "/a"}}, {"prefix": "/a"}),
    ({"uri": {"regex": "/a.*"}}, {"safeRegex": {"regex": "/a.*"}}),
    ({"uri": {"prefix": "/a"}, "ignoreUriCase": True}, {"prefix": "/a", "caseSensitive": False}),
    ({"queryParams": {"q": {"exact": "1"}}},
     {"prefix": "/", "queryParameters": [{"name": "q", "stringMatch": {"exact": "1"}}]}),
    ({"queryParams": {"q": {"regex": "1+"}}},
     {"prefix": "/", "queryParameters": [{"name": "q", "stringMatch": {"safeRegex": {"regex": "1+"}}}]}),
    ({"queryParams": {"q": {}}}, {"prefix": "/", "queryParameters": [{"name": "q", "presentMatch": True}]}),
]  # fmt: skip


@pytest.mark.parametrize(("match", "expected"), MATCHES)
def test_conditions(world: Any, sidecar: Any, match: dict[str, Any], expected: dict[str, Any]) -> None:
    assert route(world, sidecar(), match=[match])["match"] == expected


STATIC = [
    ({"port": 9080}, True),
    ({"port": 9081}, False),
    ({"sourceLabels": {"app": "web"}}, True),
    ({"sourceLabels": {"app": "other"}}, False),
    ({"sourceNamespace": "default"}, True),
    ({"sourceNamespace": "other"}, False),
    ({"gateways": ["mesh"]}, True),
    ({"gateways": ["edge"]}, False),
    # a stated gateway makes the source of no account
    ({"gateways": ["mesh"], "sourceLabels": {"app": "other"}}, True),
]


@pytest.mark.parametrize(("match", "kept"), STATIC)
def test_conditions_decided_at_generation(world: Any, sidecar: Any, match: dict[str, Any], kept: bool) -> None:
    client = sidecar(LABELS={"app": "web", "version": "v1"})
    found = routes(world, client, {"name": "it", "match": [match], "route": [TO]}, {"name": "rest", "route": [TO]})
    assert [entry["name"] for entry in found] == (["it"] if kept else ["rest"])


def test_each_match_is_a_route_and_nothing_follows_a_catch_all(world: Any, sidecar: Any) -> None:
    matches = [{"name": "a", "uri": {"prefix": "/a"}}, {"uri": {"prefix": "/b"}}]
    found = routes(
        world, sidecar(), {"name": "n", "match": matches, "route": [TO]}, {"match": [{"name": "all"}], "route": [TO]},
        {"name": "never", "route": [TO]},
    )  # fmt: skip
    assert [entry.get("name") for entry in found] == ["n.a", "n", ".all"]


REDIRECTS = [
    ({"uri": "/b"}, {"pathRedirect": "/b"}),
    ({"uri": "/b", "redirectCode": 302}, {"pathRedirect": "/b", "responseCode": "FOUND"}),
    ({"authority": "x.com", "scheme": "https"}, {"hostRedirect": "x.com", "schemeRedirect": "https"}),
    ({"uri": "/", "port": 8080}, {"pathRedirect": "/", "portRedirect": 8080}),
    ({"scheme": "https", "port": 443}, {"schemeRedirect": "https"}),
    ({"scheme": "http", "port": 80}, {"schemeRedirect": "http"}),
    ({"uri": "/", "derivePort": "FROM_REQUEST_PORT"}, {"pathRedirect": "/", "portRedirect": 9080}),
    ({"uri": "/", "derivePort": "FROM_PROTOCOL_DEFAULT"}, {"pathRedirect": "/"}),
]


@pytest.mark.parametrize(("redirect", "expected"), REDIRECTS)
def test_redirects(world: Any, sidecar: Any, redirect: dict[str, Any], expected: dict[str, Any]) -> None:
    (found,) = routes(world, sidecar(), {"redirect": redirect})
    assert found["redirect"] == expected


ACTIONS = [
    ({}, {"cluster": "outbound|9080||reviews.default.svc.cluster.local", "timeout": "0s", "maxGrpcTimeout": "0s"}),
    ({"timeout": "1.5s"}, {"timeout": "1.500s", "maxGrpcTimeout": "1.500s"}),
    ({"rewrite": {"uri": "/x"}}, {"prefixRewrite": "/x"}),
    ({"rewrite": {"authority": "x.com"}}, {"hostRewriteLiteral": "x.com"}),
    ({"headers": {"request": {"set": {"Host": "y.com"}}}}, {"hostRewriteLiteral": "y.com"}),
    ({"rewrite": {"uriRegexRewrite": {"match": "^/a/(.*)$", "rewrite": r"/b/\1"}}},
     {"regexRewrite": {"pattern": {"regex": "^/a/(.*)$"}, "substitution": r"/b/\1"}}),
    ({"route": [{"destination": {"host": "reviews", "subset": "v1"}, "weight": 100}]},
     {"cluster": "outbound|9080|v1|reviews.default.svc.cluster.local"}),
    ({"route": [{"destination": {"host": "two", "port": {"number": 9081}}}]},
     {"cluster": "outbound|9081||two.default.svc.cluster.local"}),
    ({"route": [{"destination": {"host": "two"}}]}, {"cluster": "outbound|9080||two.default.svc.cluster.local"}),
    ({"route": [{"destination": {"host": "nowhere.example.com"}}]}, {"cluster": "outbound|9080||nowhere.example.com"}),
    ({"route": [{"destination": {"host": "reviews", "subset": "v1"}, "weight": 80},
                {"destination": {"host": "reviews", "subset": "v2"}, "weight": 20},
                {"destination": {"host": "reviews", "subset": "v3"}, "weight": 0}]},
     {"weightedClusters": {"clusters": [
         {"name": "outbound|9080|v1|reviews.default.svc.cluster.local", "weight": 80},
         {"name": "outbound|9080|v2|reviews.default.svc.cluster.local", "weight": 20}]}}),
    ({"mirror": {"host": "two"}, "mirrorPercentage": {"value": 0.5}},
     {"requestMirrorPolicies": [{
         "cluster": "outbound|9080||two.default.svc.cluster.local", "traceSampled": False,
         "disableShadowHostSuffixAppend": True,
         "runtimeFraction": {"defaultValue": {"numerator": 5000, "denominator": "MILLION"}}}]}),
]  # fmt: skip


@pytest.mark.parametrize(("http", "expected"), ACTIONS)
def test_actions(world: Any, sidecar: Any, http: dict[str, Any], expected: dict[str, Any]) -> None:
    assert within(expected, route(world, sidecar(), **http)["route"])


def test_a_mirror_of_nothing_is_none(world: Any, sidecar: Any) -> None:
    found = route(world, sidecar(), mirror={"host": "two"}, mirrorPercentage={"value": 0})
    assert "requestMirrorPolicies" not in found["route"]


def test_header_operations(world: Any, sidecar: Any) -> None:
    operations = {"request": {"set": {"B": "1", "a": "2"}, "add": {"c": "3"}, "remove": ["z", "y"]}}
    found = route(world, sidecar(), headers=operations, route=[{**TO, "headers": {"response": {"set": {"r": "1"}}}}])
    assert [(entry["header"]["key"], entry["appendAction"]) for entry in found["requestHeadersToAdd"][:2]] == [
        ("B", "OVERWRITE_IF_EXISTS_OR_ADD"),
        ("a", "OVERWRITE_IF_EXISTS_OR_ADD"),
    ]
    assert "appendAction" not in found["requestHeadersToAdd"][2], "appending is the default"
    assert found["requestHeadersToRemove"] == ["y", "z"]
    assert found["responseHeadersToAdd"][0]["header"] == {"key": "r", "value": "1"}


PERCENT = [
    ("100%", "100%%"),
    ("100%%", "100%%"),
    ("%REQ(x-b)% and 5% of %PROTOCOL%", "%REQ(x-b)% and 5%% of %PROTOCOL%"),
    ("%START_TIME(%s)%", "%START_TIME(%s)%"),
    ("%lower%", "%%lower%%"),
    ("%REQ(X):10%", "%REQ(X):10%"),
]


@pytest.mark.parametrize(("stated", "expected"), PERCENT)
def test_lone_percent_signs_are_escaped(world: Any, sidecar: Any, stated: str, expected: str) -> None:
    found = route(world, sidecar(), headers={"request": {"set": {"a": stated}}})
    assert found["requestHeadersToAdd"][0]["header"]["value"] == expected


RETRIES = [
    (None, {"retryOn": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
            "numRetries": 2, "hostSelectionRetryMaxAttempts": "5"}),
    ({"attempts": 3, "perTryTimeout": "1s", "retryOn": "503,reset,retriable-status-codes"},
     {"retryOn": "reset,retriable-status-codes", "retriableStatusCodes": [503], "numRetries": 3,
      "perTryTimeout": "1s"}),
    ({"attempts": 1, "retryOn": "504"}, {"retryOn": "retriable-status-codes", "retriableStatusCodes": [504]}),
    ({"attempts": 1, "backoff": "100ms"}, {"retryBackOff": {"baseInterval": "0.100s", "maxInterval": "1s"}}),
]  # fmt: skip


@pytest.mark.parametrize(("retries", "expected"), RETRIES)
def test_retries(world: Any, sidecar: Any, retries: dict[str, Any] | None, expected: dict[str, Any]) -> None:
    found = route(world, sidecar(), **({"retries": retries} if retries else {}))
    assert within(expected, found["route"]["retryPolicy"])


def test_no_retries(world: Any, sidecar: Any) -> None:
    assert "retryPolicy" not in route(world, sidecar(), retries={"attempts": 0})["route"]


def test_faults(world: Any, sidecar: Any) -> None:
    fault = {
        "delay": {"fixedDelay": "2s", "percentage": {"value": 0.001}},
        "abort": {"grpcStatus": "UNAVAILABLE", "percentage": {"value": 50}},
    }
    made = world(SERVICES, virtual_service({"fault": fault, "route": [TO]}))
    (entry,) = made.hosts(sidecar(), "9080")["reviews.default.svc.cluster.local:9080"].routes
    message = fault_pb2.HTTPFault()
    assert entry.typed_per_filter_config["envoy.filters.http.fault"].Unpack(message)
    assert message.delay.fixed_delay.ToTimedelta() == timedelta(seconds=2)
    assert message.delay.percentage.numerator == 10
    assert (message.abort.grpc_status, message.abort.percentage.numerator) == (14, 500_000)


def test_a_fault_without_percentage_never_fires(world: Any, sidecar: Any) -> None:
    made = world(SERVICES, virtual_service({"fault": {"abort": {"httpStatus": 500}}, "route": [TO]}))
    (entry,) = made.hosts(sidecar(), "9080")["reviews.default.svc.cluster.local:9080"].routes
    message = fault_pb2.HTTPFault()
    entry.typed_per_filter_config["envoy.filters.http.fault"].Unpack(message)
    assert message.abort.percentage.numerator == 0


def test_cors(world: Any, sidecar: Any) -> None:
    policy = {
        "allowOrigins": [{"exact": "https://a.com"}, {"prefix": "https://b"}],
        "allowMethods": ["GET", "POST"],
        "maxAge": "24h",
        "allowCredentials": True,
        "unmatchedPreflights": "IGNORE",
    }
    made = world(SERVICES, virtual_service({"corsPolicy": policy, "route": [TO]}))
    (entry,) = made.hosts(sidecar(), "9080")["reviews.default.svc.cluster.local:9080"].routes
    message = cors_pb2.CorsPolicy()
    assert entry.typed_per_filter_config["envoy.filters.http.cors"].Unpack(message)
    assert [origin.exact or origin.prefix for origin in message.allow_origin_string_match] == [
        "https://a.com",
        "https://b",
    ]
    assert (message.allow_methods, message.max_age) == ("GET,POST", "86400")
    assert message.allow_credentials.value
    assert not message.forward_not_matching_preflights.value


def test_direct_response_and_provenance(world: Any, sidecar: Any) -> None:
    (found,) = routes(world, sidecar(), {"directResponse": {"status": 418, "body": {"string": "short"}}})
    assert found["directResponse"] == {"status": 418, "body": {"inlineString": "short"}}
    assert found["metadata"]["filterMetadata"]["istio"] == {
        "config": "/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews"
    }
    assert found["decorator"]["operation"] == "reviews:9080/*"


HASHES = [
    ({"httpHeaderName": "x-user"}, {"header": {"headerName": "x-user"}}),
    ({"useSourceIp": True}, {"connectionProperties": {"sourceIp": True}}),
    ({"httpQueryParameterName": "q"}, {"queryParameter": {"name": "q"}}),
    ({"httpCookie": {"name": "c", "path": "/p", "ttl": "60s"}}, {"cookie": {"name": "c", "path": "/p", "ttl": "60s"}}),
    ({"httpCookie": {"name": "c"}}, {"cookie": {"name": "c"}}),
    ({"httpCookie": {"name": "c", "ttl": "0s"}}, {"cookie": {"name": "c", "ttl": "0s"}}),
]


@pytest.mark.parametrize(("hashing", "expected"), HASHES)
@pytest.mark.parametrize("routed", [True, False])
def test_hash_policies(
    world: Any, sidecar: Any, hashing: dict[str, Any], expected: dict[str, Any], routed: bool
) -> None:
    rule = yaml.safe_dump(
        {
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "r"},
            "spec": {"host": "reviews", "trafficPolicy": {"loadBalancer": {"consistentHash": hashing}}},
        }
    )  # fmt: skip
    texts = [SERVICES, rule] + ([virtual_service({"route": [TO]})] if routed else [])
    host = world(*texts).hosts(sidecar(), "9080")["reviews.default.svc.cluster.local:9080"]
    found = json_format.MessageToDict(host.routes[0].route)
    assert found["hashPolicy"] == [expected]
    assert "retryHostPredicate" not in found["retryPolicy"], "a retry must reach the same endpoint's successor"
