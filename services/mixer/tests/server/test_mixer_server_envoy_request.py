"""Envoy's questions as attributes, and verdicts as its answers."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from google.protobuf.json_format import MessageToDict, ParseDict

from mizzen.attributes.values import Value
from mizzen.mixer.adapter import QuotaArgs, QuotaResult
from mizzen.mixer.httpstatus import http_status
from mizzen.mixer.server.envoy.authorization import Authorization, answer
from mizzen.mixer.server.envoy.request import quotas, request_attributes
from mizzen.mixer.server.refusal import Refusal
from mizzen.mixer.status import Code, Status
from mizzen.mixer.verdict import Allotment, HeaderAction, HeaderOperation, PolicyError, Verdict


def context(**fields: Any) -> AttributeContext:
    return ParseDict(fields, AttributeContext())


def peer(address: str, port: int = 0, **fields: Any) -> dict[str, Any]:
    return {"address": {"socket_address": {"address": address, "port_value": port}}, **fields}


def test_a_request_over_mutual_tls() -> None:
    attributes = request_attributes(
        context(
            source=peer("10.0.0.1", 40_000, principal="spiffe://cluster.local/ns/default/sa/productpage"),
            destination=peer("10.0.0.2", 9080, principal="spiffe://cluster.local/ns/default/sa/reviews"),
            tls_session={"sni": "outbound_.9080_._.reviews"},
            request={
                "time": "2018-07-31T12:00:00.000250Z",
                "http": {
                    "method": "GET",
                    "path": "/reviews/0?a=b",
                    "host": "reviews:9080",
                    "scheme": "http",
                    "headers": {":method": "GET", "end-user": "jason", "x-istio-attributes": "forged"},
                },
            },
        )
    )
    headers = {
        ":method": "GET",
        ":path": "/reviews/0?a=b",
        ":authority": "reviews:9080",
        ":scheme": "http",
        "end-user": "jason",
    }
    assert attributes == {
        "origin.ip": IPv4Address("10.0.0.1"),
        "source.ip": IPv4Address("10.0.0.1"),
        "source.port": 40_000,
        "source.principal": "cluster.local/ns/default/sa/productpage",
        "source.user": "cluster.local/ns/default/sa/productpage",
        "source.namespace": "default",
        "destination.ip": IPv4Address("10.0.0.2"),
        "destination.port": 9080,
        "destination.principal": "cluster.local/ns/default/sa/reviews",
        "connection.mtls": True,
        "connection.requested_server_name": "outbound_.9080_._.reviews",
        "request.time": datetime(2018, 7, 31, 12, 0, 0, 250, UTC),
        "request.headers": headers,
        "request.host": "reviews:9080",
        "request.method": "GET",
        "request.path": "/reviews/0?a=b",
        "request.url_path": "/reviews/0",
        "request.query_params": {"a": "b"},
        "request.scheme": "http",
        "context.protocol": "http",
    }


def test_a_connection_without_http() -> None:
    attributes = request_attributes(context(source=peer("::ffff:10.0.0.1"), request={"time": "1970-01-01T00:00:01Z"}))
    assert attributes == {
        "origin.ip": IPv4Address("10.0.0.1"),
        "source.ip": IPv4Address("10.0.0.1"),
        "connection.mtls": False,
        "context.protocol": "tcp",
        "context.time": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
    }


@pytest.mark.parametrize("address", [{"pipe": {"path": "/a"}}, {"socket_address": {"address": "name"}}, {}])
def test_addresses_that_are_no_ip_are_left_out(address: dict[str, Any]) -> None:
    attributes = request_attributes(context(source={"address": address}))
    assert attributes == {"connection.mtls": False, "context.protocol": "tcp"}


def test_raw_headers_are_headers_too() -> None:
    headers = {"headers": [{"key": "a", "value": "1"}, {"key": "b", "raw_value": "Y2Fm6Q=="}]}
    attributes = request_attributes(context(request={"http": {"header_map": headers}}))
    assert attributes["request.headers"] == {"a": "1", "b": "caf\\xe9"}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("context.reporter.kind", "inbound", "inbound"),
        ("destination.service.host", "reviews.default.svc.cluster.local", "reviews.default.svc.cluster.local"),
        ("destination.port", "9080", 9080),
        ("destination.ip", "::1", IPv6Address("::1")),
        ("connection.mtls", "true", True),
        ("of.my.own", "1", "1"),
    ],
)
def test_context_extensions_state_attributes_of_their_type(name: str, text: str, value: Value) -> None:
    stated = request_attributes(context(source=peer("10.0.0.9", principal=""), context_extensions={name: text}))[name]
    assert stated == value
    assert type(stated) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("destination.port", "http", "destination.port is of type INT64, not 'http'"),
        ("source.ip", "name", "source.ip is of type IP_ADDRESS, not 'name'"),
        ("connection.mtls", "yes", "connection.mtls is of type BOOL, not 'yes'"),
        ("request.headers", "a", "request.headers cannot be stated: it is of type STRING_MAP"),
        ("quota/requests", "many", "quota/requests is to be a number, not 'many'"),
    ],
)
async def test_context_extensions_of_another_type_are_named(policy: Any, name: str, text: str, message: str) -> None:
    with pytest.raises(Refusal) as refusal:
        await Authorization(policy).check(CheckRequest(attributes=context(context_extensions={name: text})))
    assert refusal.value.code is Code.INVALID_ARGUMENT
    assert refusal.value.message == f"Request could not be processed due to invalid attributes: {message}"
    assert not policy.checked


def test_a_request_cannot_overrule_what_is_stated() -> None:
    headers = {"http": {"headers": {"destination.uid": "forged", "source.uid": "forged"}}}
    attributes = request_attributes(context(request=headers, context_extensions={"destination.uid": "stated"}))
    assert attributes["destination.uid"] == "stated"
    assert "source.uid" not in attributes


def test_claims_of_a_verified_token_are_attributes() -> None:
    claims = {"iss": "issuer", "sub": "subject", "aud": ["first", "second"], "azp": "presenter", "exp": 1, "role": "x"}
    attributes = request_attributes(
        context(metadata_context={"filter_metadata": {"envoy.filters.http.jwt_authn": {"payload": claims}}})
    )
    assert attributes["request.auth.principal"] == "issuer/subject"
    assert attributes["request.auth.audiences"] == "first"
    assert attributes["request.auth.presenter"] == "presenter"
    assert attributes["request.auth.claims"] == {"iss": "issuer", "sub": "subject", "azp": "presenter", "role": "x"}
    assert '"role":"x"' in str(attributes["request.auth.raw_claims"])


def test_metadata_without_a_token_is_none() -> None:
    filters = {"envoy.filters.http.jwt_authn": {"payload": {"a": "b"}}, "other": {"payload": {"iss": "forged"}}}
    attributes = request_attributes(context(metadata_context={"filter_metadata": filters}))
    assert not [name for name in attributes if name.startswith("request.auth")]


def test_quotas_are_charged_in_full() -> None:
    extensions = {"quota/requests": "2", "destination.uid": "a"}
    assert quotas(context(context_extensions=extensions)) == {"requests": QuotaArgs(2, best_effort=False)}
    assert not [name for name in request_attributes(context(context_extensions=extensions)) if "quota" in name]


async def test_every_check_has_its_own_id(policy: Any) -> None:
    service = Authorization(policy)
    for _ in range(3):
        await service.check(CheckRequest())
    assert len({deduplication_id for _, _, deduplication_id in policy.checked}) == 3


async def test_without_a_verdict_envoy_decides(policy: Any) -> None:
    policy.error = PolicyError("broken")
    with pytest.raises(Refusal) as refusal:
        await Authorization(policy).check(CheckRequest())
    assert (refusal.value.code, refusal.value.message) == (Code.INTERNAL, "broken")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Code.CANCELLED, 499),
        (Code.UNKNOWN, 500),
        (Code.INVALID_ARGUMENT, 400),
        (Code.DEADLINE_EXCEEDED, 504),
        (Code.NOT_FOUND, 404),
        (Code.ALREADY_EXISTS, 409),
        (Code.PERMISSION_DENIED, 403),
        (Code.RESOURCE_EXHAUSTED, 429),
        (Code.FAILED_PRECONDITION, 400),
        (Code.ABORTED, 409),
        (Code.OUT_OF_RANGE, 400),
        (Code.UNIMPLEMENTED, 501),
        (Code.INTERNAL, 500),
        (Code.UNAVAILABLE, 503),
        (Code.DATA_LOSS, 500),
        (Code.UNAUTHENTICATED, 401),
    ],
)
def test_a_denial_looks_as_with_istios_proxy(code: Code, status: int) -> None:
    response = answer(Verdict(Status(code, "handler:why")), {})
    assert response.status.code == code
    assert response.denied_response.status.code == status
    assert response.denied_response.body == f"{code.name}:handler:why"
    assert not response.HasField("ok_response")
    assert MessageToDict(response.dynamic_metadata) == {
        "check.error_code": code,
        "check.error_message": f"{code.name}:handler:why",
    }


def test_codes_that_do_not_exist_are_errors() -> None:
    assert http_status(99) == 500


OPERATIONS = (
    HeaderOperation("X-User", "jason"),
    HeaderOperation("X-Group", "a", HeaderAction.APPEND),
    HeaderOperation("Cookie", action=HeaderAction.REMOVE),
)


def options(headers: Any) -> list[tuple[str, str, bool]]:
    """Name, value, and whether it is appended."""
    return [
        (
            option.header.key,
            option.header.value,
            option.append.value
            if option.HasField("append")
            else option.append_action == HeaderValueOption.APPEND_IF_EXISTS_OR_ADD,
        )
        for option in headers
    ]


def test_header_operations_go_with_what_is_allowed() -> None:
    response = answer(Verdict(request_headers=OPERATIONS, response_headers=OPERATIONS), {}, {"x-group": "b"})
    assert response.status.code == 0
    allowed = response.ok_response
    assert options(allowed.headers) == [("x-user", "jason", False), ("x-group", "a", True)]
    assert options(allowed.response_headers_to_add) == [("x-user", "jason", False), ("x-group", "a", True)]
    assert allowed.headers_to_remove[:] == ["cookie"]


def test_what_is_appended_to_nothing_is_set() -> None:
    operations = tuple(HeaderOperation("X", value, HeaderAction.APPEND) for value in "ab")
    allowed = answer(Verdict(request_headers=operations, response_headers=operations), {}).ok_response
    assert options(allowed.headers) == [("x", "a", False), ("x", "b", True)]
    assert options(allowed.response_headers_to_add) == [("x", "a", True), ("x", "b", True)]


def test_a_direct_response_is_a_denial_to_envoy() -> None:
    verdict = Verdict(direct_response_code=200, direct_response_body="hello", response_headers=OPERATIONS)
    response = answer(verdict, {})
    assert response.status.code != 0
    assert (response.denied_response.status.code, response.denied_response.body) == (200, "hello")
    assert options(response.denied_response.headers) == [("x-user", "jason", False), ("x-group", "a", True)]
    assert not response.HasField("dynamic_metadata")


def test_a_denial_wins_over_a_direct_response() -> None:
    response = answer(Verdict(Status(Code.PERMISSION_DENIED), direct_response_code=200), {})
    assert response.denied_response.status.code == 403


@pytest.mark.parametrize(("granted", "status"), [(2, 0), (3, 0), (1, 429), (0, 429)])
def test_quotas_must_be_granted_in_full(granted: int, status: int) -> None:
    verdict = Verdict(
        quotas={"a": Allotment(QuotaResult(1)), "b": Allotment(QuotaResult(granted)), "c": Allotment(QuotaResult(0))}
    )
    response = answer(verdict, {"a": QuotaArgs(1), "b": QuotaArgs(2)})
    assert response.denied_response.status.code == status
    if status:
        assert response.denied_response.body == "RESOURCE_EXHAUSTED:Quota is exhausted for: b"
