"""What the agent says to Mixer of requests and connections."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest

from mizzen.proto.attributes_pb2 import Attributes
from mizzen.proxy.app.mixer.addresses import Addresses, Target
from mizzen.proxy.app.mixer.attributes import check_attributes, report_attributes
from mizzen.proxy.app.mixer.connections import ConnectionAttributes
from mizzen.proxy.codec.headers import block
from mizzen.proxy.engine.arrival import UNPROVED, Identities
from mizzen.proxy.engine.control import CheckFacts, ReportRecord, RequestFacts
from mizzen.proxy.engine.mixer_plan import DEFAULT_KEYS, ApiPattern, ApiPlan, MixerContext, TransportPlan
from mizzen.proxy.engine.plan import ClusterPlan, EndpointPlan, EndpointSetPlan
from mizzen.proxy.engine.tls_plan import ClientTlsPlan, SocketMatch, SocketsPlan, TlsPlan
from mizzen.proxy.snapshot.store import Held, Store

ONE, TWO = "10.0.0.1:9091", "10.0.0.2:9091"
HEAD = {b"host": b"Host: reviews", b"user-agent": b"User-Agent: curl", b"cookie": b"Cookie: a=1\r\nCookie: b=2"}


def context(**values: str) -> MixerContext:
    return MixerContext(TransportPlan(), said(**values), check=True, report=True)


def said(**values: str) -> bytes:
    message = Attributes()
    for name, value in values.items():
        message.attributes[name.replace("_", ".")].string_value = value
    return message.SerializeToString()


def request(
    forwarded: bytes = b"",
    client: bytes = b"10.0.0.9",
    identities: Identities = UNPROVED,
    claims: dict[str, object] | None = None,
    **more: bytes,
) -> RequestFacts:
    head = HEAD | {name.replace("_", "-").encode(): value for name, value in more.items()}
    return (1e9, b"GET", b"/a?b=1", b"reviews:9080", b"http", block(head), forwarded, client, identities, claims)


def report(status: int = 200, flags: str = "", endpoint: str = "", check: CheckFacts = None) -> ReportRecord:
    response_head, trailers = b"Content-Type: text/plain", b"grpc-status: 5"
    return (0, request(), (status, response_head, trailers, 3, 4, 1e9 + 1, 2.0, flags, endpoint), check)


def reported(context: MixerContext, record: ReportRecord) -> dict[str, Any]:
    common, own = report_attributes(context, record)
    assert common.keys().isdisjoint(own)
    return {**common, **own}


def test_what_configuration_says_of_a_request_is_replaced_in_reports_too() -> None:
    configured = context(request_path="stated", source_uid="own", response_code="stated", request_reason="stated")
    found = reported(configured, report())
    assert (found["request.path"], found["source.uid"]) == ("/a?b=1", "own")
    assert (found["response.code"], found["request.reason"]) == (200, "stated")


def test_reports_of_the_same_two_have_the_same_object_in_common() -> None:
    first, second = (report_attributes(context(source_uid="own"), report()) for _ in range(2))
    assert first.common is second.common
    assert first.common["source.uid"] == "own"


def test_the_order_in_which_attributes_win() -> None:
    forwarded = b64encode(said(source_uid="forwarded", request_path="forwarded", destination_service="forwarded"))
    found = check_attributes(context(source_uid="own", destination_service="own"), request(forwarded))
    assert (found["source.uid"], found["destination.service"]) == ("forwarded", "forwarded")
    assert found["request.path"] == "/a?b=1"


REVIEWS, RATINGS = (f"spiffe://cluster.local/ns/shop/sa/{name}" for name in ("reviews", "ratings"))


def test_who_calls_is_what_was_proved() -> None:
    lies = said(source_principal="cluster.local/ns/istio-system/sa/admin", source_namespace="istio-system")
    found = check_attributes(context(), request(b64encode(lies), identities=(REVIEWS, RATINGS, "ratings.shop")))
    assert found["source.principal"] == found["source.user"] == "cluster.local/ns/shop/sa/reviews"
    assert (found["source.namespace"], found["connection.mtls"]) == ("shop", True)
    assert found["destination.principal"] == "cluster.local/ns/shop/sa/ratings"
    assert found["connection.requested_server_name"] == "ratings.shop"
    assert reported(context(), (0, request(identities=(REVIEWS, "", "")), *report()[2:]))["connection.mtls"] is True


def test_a_gateway_reports_as_itself_whoever_its_client_is() -> None:
    """As the namespace of somebody else its certificate would not let it report."""
    configured = context(context_reporter_kind="outbound", source_uid="gateway", source_namespace="istio-system")
    connection = (1e9, b"10.0.0.9", 7, (REVIEWS, "", ""))
    for found in (
        check_attributes(configured, request(identities=(REVIEWS, "", ""))),
        ConnectionAttributes().begun(configured, connection),
    ):
        assert (found["source.uid"], found["source.namespace"]) == ("gateway", "istio-system")
        assert found["source.principal"] == "cluster.local/ns/shop/sa/reviews"


def test_nobody_is_believed_who_proves_nothing() -> None:
    lies = said(source_principal="admin", source_user="admin", request_auth_principal="issuer/admin", source_uid="kept")
    found = check_attributes(context(), request(b64encode(lies)))
    assert (found["connection.mtls"], found["source.uid"]) == (False, "kept")
    assert found.keys().isdisjoint({"source.principal", "source.user", "request.auth.principal"})


CLAIMS = {"iss": "issuer", "sub": "ann", "aud": ["shop", "bank"], "azp": "app", "role": "buyer", "exp": 4}


def test_what_a_token_claims() -> None:
    found = check_attributes(context(), request(claims=CLAIMS))
    assert found["request.auth.principal"] == "issuer/ann"
    assert (found["request.auth.audiences"], found["request.auth.presenter"]) == ("shop", "app")
    assert found["request.auth.claims"] == {"iss": "issuer", "sub": "ann", "azp": "app", "role": "buyer"}
    assert json.loads(str(found["request.auth.raw_claims"])) == CLAIMS
    assert reported(context(), (0, request(claims=CLAIMS), *report()[2:]))["request.auth.principal"] == "issuer/ann"


@pytest.mark.parametrize("forwarded", [b"%%%", b64encode(b"\xff\xff\xff"), b"YQ"])
def test_forwarded_attributes_that_cannot_be_read_say_nothing(forwarded: bytes) -> None:
    assert check_attributes(context(), request(forwarded)) == check_attributes(context(), request())


def test_headers() -> None:
    found: dict[str, Any] = check_attributes(context(), request(x_istio_attributes=b"x-istio-attributes: Zm9v"))
    assert found["request.headers"] == {
        ":method": "GET",
        ":path": "/a?b=1",
        ":authority": "reviews:9080",
        ":scheme": "http",
        "user-agent": "curl",
        "cookie": "a=1,b=2",
    }
    assert found["request.useragent"] == "curl"


def test_headers_that_are_repeated_or_not_text() -> None:
    more = {"a": b"A:1\r\na:  2\t\r\nA:", "b": b"B: caf\xe9:", "x_istio_attributes": b"x-istio-attributes: Zm9v"}
    found: dict[str, Any] = check_attributes(context(), request(**more))
    headers = found["request.headers"]
    assert (headers["a"], headers["b"]) == ("1,2,", b"caf\xe9:".decode("utf-8", "surrogateescape"))
    assert not {"", "host", "x-istio-attributes"} & headers.keys()
    plain: RequestFacts = (1e9, b"GET", b"/", b"a", b"http", b"", b"", b"10.0.0.9", UNPROVED, None)
    bare: dict[str, Any] = check_attributes(context(), plain)
    assert bare["request.headers"] == {":method": "GET", ":path": "/", ":authority": "a", ":scheme": "http"}


def test_what_an_api_says_replaces_what_the_request_does() -> None:
    item = ApiPattern(b"GET", (b"*",), b"", "", said(api_operation="item", request_path="api"))
    api = ApiPlan(said(api_service="books", api_operation="none"), (item,), DEFAULT_KEYS, ("api.operation",))
    found = check_attributes(replace(context(), api=api), request())
    assert (found["api.service"], found["api.operation"], found["request.path"]) == ("books", "item", "api")
    assert reported(replace(context(), api=api), report())["api.operation"] == "item"


COOKIES = b'Cookie: a="1"; K=2; b=\r\nCookie: b=3'


@pytest.mark.parametrize(
    ("keys", "path", "found"),
    [
        (None, b"/", "header"),
        (None, b"/?api_key=2", "2"),
        (None, b"/?api_key=2&key=%31", "%31"),
        ((("header", "x-api-key"), ("query", "key")), b"/?key=1", "header"),
        ((("cookie", "a"),), b"/", "1"),
        ((("cookie", "k"), ("cookie", "K")), b"/", "2"),
        ((("cookie", "b"),), b"/", "3"),
        ((("query", "k"), ("header", "k")), b"/?key=1", None),
    ],
)
def test_the_callers_key(keys: tuple[tuple[str, str], ...] | None, path: bytes, found: str | None) -> None:
    api = None if keys is None else ApiPlan(said(api_service="books"), (), keys, ())
    facts = request(x_api_key=b"X-API-Key: header", cookie=COOKIES)
    attributes = check_attributes(replace(context(), api=api), (*facts[:2], path, *facts[3:]))
    assert attributes.get("request.api_key") == found


def test_the_client() -> None:
    assert check_attributes(context(), request())["source.ip"] == ip_address("10.0.0.9")
    assert "source.ip" not in check_attributes(context(), request(client=b"nonsense"))


def test_a_report() -> None:
    found = reported(context(), report(endpoint="[::1]:9080", flags="UF,URX"))
    assert (found["destination.ip"], found["destination.port"]) == (ip_address("::1"), 9080)
    assert (found["response.code"], found["response.grpc_status"]) == (200, "5")
    assert (found["request.size"], found["response.size"]) == (3, 4)
    assert found["response.total_size"] == 4 + len("Content-Type: text/plain\r\n") + len("grpc-status: 5\r\n")
    assert found["response.duration"] == timedelta(seconds=2)
    assert found["response.time"] == datetime.fromtimestamp(1e9 + 1, UTC)
    assert found["context.proxy_error_code"] == "UF,URX"
    assert "check.cache_hit" not in found


@pytest.mark.parametrize(
    ("status", "check", "code"),
    [(200, None, 200), (0, None, 500), (0, (7, "PERMISSION_DENIED:no", True, False), 403)],
)
def test_the_response_code(status: int, check: CheckFacts, code: int) -> None:
    assert reported(context(), report(status, check=check))["response.code"] == code


def test_a_connection() -> None:
    names = ConnectionAttributes()
    connection = (1e9, b"10.0.0.9", 7, (REVIEWS, RATINGS, ""))
    begun = names.begun(context(destination_service="mongo"), connection)
    assert (begun["context.protocol"], begun["source.ip"]) == ("tcp", ip_address("10.0.0.9"))
    assert (begun["source.principal"], begun["connection.mtls"]) == ("cluster.local/ns/shop/sa/reviews", True)
    assert str(begun["connection.id"]).endswith("-7")
    amounts = (1, 2, 3, 4)
    running = names.reported(context(), (0, connection, "continue", amounts, 10.0, "", "10.0.0.1:27017", None))
    assert (running["connection.received.bytes"], running["connection.sent.bytes_total"]) == (1, 4)
    assert (running["destination.port"], "connection.duration" in running) == (27017, False)
    closed = names.reported(context(), (0, connection, "close", amounts, 10.0, "UAEX", "", (7, "no", False, False)))
    assert closed["connection.duration"] == timedelta(seconds=10)
    assert (closed["check.error_code"], closed["context.proxy_error_code"]) == (7, "UAEX")


def cluster(discovery: Any, *endpoints: tuple[str, bool]) -> Store:
    store = Store()
    found = tuple(EndpointPlan(address, 9091, healthy=healthy) for address, healthy in endpoints)
    plan = ClusterPlan("mixer", discovery, endpoint_set="eds" if discovery == "eds" else EndpointSetPlan("eds", found))
    store.kinds["cluster"]["mixer"] = Held("mixer", "1", b"", plan, ())
    if discovery == "eds":
        store.kinds["endpoint_set"]["eds"] = Held("eds", "1", b"", EndpointSetPlan("eds", found), ())
    return store


@pytest.mark.parametrize(
    ("store", "target"),
    [
        (
            cluster("eds", ("10.0.0.2", True), ("10.0.0.1", True), ("10.0.0.3", False)),
            "ipv4:10.0.0.1:9091,10.0.0.2:9091",
        ),
        (cluster("static", ("::1", True)), "ipv6:[::1]:9091"),
        (cluster("dns", ("mixer.example", True)), "dns:///mixer.example:9091"),
    ],
)
def test_where_mixer_is(store: Store, target: str) -> None:
    assert Addresses(store, "").target("mixer") == Target(target)
    assert Addresses(store, "127.0.0.1:1").target("mixer") == Target("127.0.0.1:1")


def mutual(server_name: str = "mixer.mesh", certificate: str = "default") -> ClientTlsPlan:
    return ClientTlsPlan(TlsPlan(certificate, "ROOTCA"), server_name)


ABLE = frozenset({("tlsMode", "istio")})


@pytest.mark.parametrize(
    ("sockets", "expected"),
    [
        (SocketsPlan(otherwise=mutual()), Target("ipv4:10.0.0.1:15004,10.0.0.2:15004", "mixer.mesh")),
        (SocketsPlan((SocketMatch(tuple(ABLE), mutual()),)), Target("ipv4:10.0.0.2:15004", "mixer.mesh")),
        (SocketsPlan(), Target("ipv4:10.0.0.1:15004,10.0.0.2:15004")),
    ],
)
def test_how_mixer_is_spoken_to(sockets: SocketsPlan, expected: Target) -> None:
    """Where one endpoint takes TLS nothing goes to the others in plain text."""
    endpoints = (EndpointPlan("10.0.0.1", 15004), EndpointPlan("10.0.0.2", 15004, says=ABLE))
    store = Store()
    plan = ClusterPlan("mixer", "static", endpoint_set=EndpointSetPlan("eds", endpoints), sockets=sockets)
    store.kinds["cluster"]["mixer"] = Held("mixer", "1", b"", plan, ())
    assert Addresses(store, "").target("mixer") == expected


@pytest.mark.parametrize("tls", [mutual(server_name=""), mutual(certificate="file-cert:a~b")])
def test_other_tls_is_not_spoken_with_mixer(tls: ClientTlsPlan) -> None:
    store = cluster("static", ("10.0.0.1", True))
    plan = replace(store.kinds["cluster"]["mixer"].plan, sockets=SocketsPlan(otherwise=tls))
    store.kinds["cluster"]["mixer"] = Held("mixer", "1", b"", plan, ())
    with pytest.raises(LookupError, match="wants other TLS than mutual TLS of the mesh"):
        Addresses(store, "").target("mixer")


@pytest.mark.parametrize(
    ("kind", "own", "others"),
    [
        ("inbound", ("destination.uid", "destination.namespace", "destination.principal"), ("source.uid",)),
        ("outbound", ("source.uid", "source.namespace", "source.principal"), ("destination.service",)),
    ],
)
def test_nobody_else_says_who_this_proxy_is(kind: str, own: tuple[str, ...], others: tuple[str, ...]) -> None:
    """Else who forges the header could have a request go unchecked where checks that fail let requests through."""
    names = ("context.reporter.uid", "context.reporter.kind", *own)
    message = Attributes()
    for name in (*names, *others):
        message.attributes[name].string_value = "forged"
    forged = b64encode(message.SerializeToString())
    configured = context(context_reporter_kind=kind, context_reporter_uid="me", **{own[0].replace(".", "_"): "me"})
    found = check_attributes(configured, request(forged))
    assert [found.get(name) for name in names] == ["me", kind, "me", None, None]
    assert [found[name] for name in others] == ["forged"] * len(others)


@pytest.mark.parametrize(
    ("store", "reason"),
    [(Store(), "cluster mixer is not known"), (cluster("eds", ("10.0.0.1", False)), "cluster mixer has no endpoint")],
)
def test_where_mixer_is_not(store: Store, reason: str) -> None:
    with pytest.raises(LookupError, match=reason):
        Addresses(store, "").target("mixer")
