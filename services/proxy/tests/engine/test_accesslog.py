import json

import pytest
from engine_support import Exchange, Request

from mizzen.proxy.engine.accesslog import bind_log
from mizzen.proxy.engine.formatter import bind_format, to_text
from mizzen.proxy.engine.plan import AccessLogPlan

REQUEST = Request(
    b"/productpage?u=normal",
    b"bookinfo.test",
    headers=((b"User-Agent", b"curl/8.5.0"), (b"X-Request-Id", b"id-1"), (b"X-Bin", b"\xff\xc3\xa9")),
)


def text(format_: str, record: Exchange | None = None) -> str:
    return to_text(bind_format(format_, "pod-1"), record or Exchange(REQUEST), "-")


def test_istio_default_line() -> None:
    record = Exchange(REQUEST, response_headers={b"x-envoy-upstream-service-time": b"10"})
    assert bind_log(AccessLogPlan("/dev/stdout"), "pod-1")(record).decode() == (
        '[2026-11-22T20:00:15.502Z] "GET /productpage?u=normal HTTP/1.1" 200 - via_upstream - "-" 0 407 12 10 "-" '
        '"curl/8.5.0" "id-1" "bookinfo.test" "127.2.0.3:9080" outbound|9080||reviews 127.0.0.1:60958 127.1.0.1:15007 '
        "127.0.0.1:50000 - -\n"
    )


def test_rewritten_path_shows_the_original_one() -> None:
    request = Request(b"/new", headers=((b"x-envoy-original-path", b"/old"),))
    assert text("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %REQ(:PATH)%", Exchange(request)) == "/old /new"


@pytest.mark.parametrize(
    ("format_", "expected"),
    [
        ("%START_TIME(%s.%3f %f %6f %Y)%", "1795377615.502 502278000 502278 2026"),
        ("%START_TIME(%Y/%m/%dT%H:%M:%E3SZ)%", "2026/11/22T20:00:15.502Z"),
        ("%START_TIME(%H:%M)%", "20:00"),
        ("%REQ(USER-AGENT):4%", "curl"),
        ("%REQ(nope?user-agent)%", "curl/8.5.0"),
        ("%REQ(nope)%", "-"),
        ("%REQ(HOST)% %REQ(:SCHEME)%", "bookinfo.test http"),
        ("100%% %PROTOCOL%%%", "100% HTTP/1.1%"),
        ("%RESPONSE_CODE%/%RESPONSE_FLAGS%/%DURATION%/%RESPONSE_DURATION%/%RESPONSE_TX_DURATION%", "200/-/12/10/2"),
        ("%REQUEST_DURATION% %CONNECTION_ID% %UPSTREAM_REQUEST_ATTEMPT_COUNT%", "1 7 1"),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT%", "127.0.0.1 15007"),
        ("%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%", "::1"),
        ("%DOWNSTREAM_DIRECT_REMOTE_PORT% %UPSTREAM_REMOTE_PORT%", "50001 9080"),
        ("%RESP(x)% %TRAILER(x)% %HOSTNAME% %ROUTE_NAME% %REQUESTED_SERVER_NAME%", "- - pod-1 - -"),
        ("no operators\n", "no operators\n"),
        ("", ""),
    ],
)
def test_operators(format_: str, expected: str) -> None:
    assert text(format_) == expected


def test_responses_and_trailers() -> None:
    record = Exchange(
        REQUEST, response_headers={b"x-a": b"1"}, response_trailers={b"grpc-status": b"0"}, flags="UF,URX"
    )
    assert text("%RESP(X-A)% %RESP(x-b?x-a)% %TRAILER(GRPC-STATUS)% %RESPONSE_FLAGS%", record) == "1 1 0 UF,URX"


def test_tcp_record_has_no_request() -> None:
    record = Exchange(None, protocol="", status=0, duration=None)
    assert text('"%REQ(:METHOD)% %PROTOCOL%" %RESPONSE_CODE% %DURATION%', record) == '"- -" 0 -'


def test_seconds_do_not_stick() -> None:
    operator = bind_format("%START_TIME%")
    assert to_text(operator, Exchange(start_time=0.0), "-") == "1970-01-01T00:00:00.000Z"
    assert to_text(operator, Exchange(start_time=1.25), "-") == "1970-01-01T00:00:01.250Z"
    assert to_text(operator, Exchange(start_time=0.9999999), "-") == "1970-01-01T00:00:01.000Z"


@pytest.mark.parametrize("format_", ["%NOPE%", "%NOPE(x)%", "%PROTOCOL(x)%", "%REQ%", "50% done", "%lower%"])
def test_unknown_operators_are_named(format_: str) -> None:
    with pytest.raises(ValueError, match=r"NOPE|PROTOCOL|REQ|% done|%lower"):
        bind_format(format_)


def test_json_keeps_types_and_order() -> None:
    plan = AccessLogPlan(
        "/dev/stdout",
        json=(
            ("status", "%RESPONSE_CODE%"),
            ("duration", "%DURATION%"),
            ("host", "%UPSTREAM_HOST%"),
            ("sni", "%REQUESTED_SERVER_NAME%"),
            ("flags", "%RESPONSE_FLAGS%"),
            ("mixed", "%PROTOCOL% %REQUESTED_SERVER_NAME%"),
            ("code", "%RESPONSE_CODE%ms"),
            ("literal", 'plain "100%%"'),
        ),
    )
    line = bind_log(plan, "")(Exchange(REQUEST))
    assert line == (
        b'{"status":200,"duration":12,"host":"127.2.0.3:9080","sni":null,"flags":"-","mixed":"HTTP/1.1 -",'
        b'"code":"200ms","literal":"plain \\"100%\\""}\n'
    )


def test_header_bytes_that_are_not_utf8() -> None:
    assert bind_log(AccessLogPlan("", text="%REQ(x-bin)%\n"), "")(Exchange(REQUEST)) == b"\xff\xc3\xa9\n"
    line = bind_log(AccessLogPlan("", json=(("bin", "%REQ(x-bin)%"), ("name", "é"))), "")(Exchange(REQUEST))
    assert json.loads(line) == {"bin": "\u00ff\u00c3\u00a9", "name": "é"}
