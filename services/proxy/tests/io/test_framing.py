"""Messages with more than one reading are refused: 400 to the client, nothing to the endpoint; 502 the other way."""

import pytest
from playbook import (
    CUTS,
    Cut,
    Message,
    Step,
    World,
    _take,
    client_gets,
    client_is,
    client_sends,
    connects,
    endpoint_is,
    endpoint_sends,
    mesh,
    no_connect,
    play,
)

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

BAD_HEADS = {
    "CL and TE": GET + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "TE and CL": GET + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
    "CL twice": GET + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
    "CL list": GET + b"Content-Length: 3, 3\r\n\r\nabc",
    "CL with sign": GET + b"Content-Length: +3\r\n\r\nabc",
    "CL negative": GET + b"Content-Length: -1\r\n\r\n",
    "CL hexadecimal": GET + b"Content-Length: 0x3\r\n\r\nabc",
    "CL empty": GET + b"Content-Length: \r\n\r\n",
    "CL too large": GET + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "CL with more zeros than int() takes": GET + b"Content-Length: " + b"0" * 5000 + b"3\r\n\r\nabc",
    "TE with another coding": GET + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "TE not last": GET + b"Transfer-Encoding: chunked, gzip\r\n\r\n",
    "TE twice": GET + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE unknown": GET + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "TE identity": GET + b"Transfer-Encoding: identity\r\n\r\n",
    "TE after a control": GET + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "TE empty": GET + b"Transfer-Encoding:\r\n\r\n",
    "bare LF after header": GET + b"X: a\n\r\n",
    "bare LF everywhere": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare CR in value": GET + b"X: a\rb\r\n\r\n",
    "folded line": GET + b"X: a\r\n b\r\n\r\n",
    "blank before colon": GET + b"X : a\r\n\r\n",
    "blank before name": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "NUL in value": GET + b"X: a\0b\r\n\r\n",
    "control in value": GET + b"X: a\x01b\r\n\r\n",
    "NUL in name": GET + b"X\0: a\r\n\r\n",
    "bad name": GET + b"X(: a\r\n\r\n",
    "no name": GET + b": a\r\n\r\n",
    "no colon": GET + b"X\r\n\r\n",
    "Host twice": GET + b"Host: b\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "empty Host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "Host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "Host with user": b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "long Host": b"GET / HTTP/1.1\r\nHost: " + b"a" * 5000 + b"\r\n\r\n",
    "fragment": b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    "asterisk": b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "relative target": b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    "NUL in target": b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n",
    "blank in target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "other scheme": b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/2.0 kept alive": b"GET / HTTP/2.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET / HTTP/0.9\r\nHost: a\r\n\r\n",
    "no version": b"GET /\r\nHost: a\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "lower-case method": b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40,
}

BAD_CHUNKS = {
    "hexadecimal prefix": b"0x3\r\nabc\r\n",
    "sign": b"+3\r\nabc\r\n",
    "negative": b"-1\r\n",
    "empty": b"\r\n",
    "blank": b"3 \r\nabc\r\n",
    "bare LF": b"3\nabc\r\n",
    "too large": b"fffffffffffffffff\r\n",
    "no end": b"3\r\nabcd\r\n",
    "bare LF after data": b"3\r\nabc\n0\r\n\r\n",
    "NUL in extension": b"3;\0\r\nabc\r\n",
    "bare LF in extension": b"3;a\nb\r\nabc\r\n",
    "bare CR in extension": b"3;a\rb\r\nabc\r\n",
    "endless extension": b"3;" + b"a" * 400_000,
    "trailer with CL": b"0\r\nContent-Length: 4\r\n\r\n",
    "trailer with TE": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "trailer with blank": b"0\r\nT : x\r\n\r\n",
    "endless trailers": b"0\r\n" + b"T: x\r\n" * 60_000,
}


def gets_status(status: str) -> Step:
    return client_gets_first(f"HTTP/1.1 {status}")


def client_gets_first(first: str) -> Step:
    def step(world: World, cut: object) -> None:
        message = Message.parse(_take(world.client()))
        assert message.first == first, message.raw
        assert dict(message.headers)["connection"] == "close"
        assert "x-mesh-reason" in dict(message.headers)

    return step


@pytest.mark.parametrize("name", BAD_HEADS)
def test_a_bad_request_head_is_never_forwarded(name: str) -> None:
    play(mesh(), client_sends(BAD_HEADS[name]), gets_status("400 Bad Request"), no_connect(), client_is(closed=True))


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_a_bad_chunk_ends_the_request(name: str) -> None:
    large = len(BAD_CHUNKS[name]) > 10_000
    steps = (client_sends(CHUNKED), connects("10.0.0.1:80"), client_sends(BAD_CHUNKS[name]))
    ends = (gets_status("400 Bad Request"), client_is(closed=True), endpoint_is(closed=True))

    play(mesh(), *steps, *ends, cuts=(Cut(20_000),) if large else CUTS)


@pytest.mark.parametrize(
    ("name", "data"),
    {
        "many headers": GET + b"".join(b"X-%d: a\r\n" % number for number in range(100)) + b"\r\n",
        "large header": GET + b"X: " + b"a" * 61_440 + b"\r\n\r\n",
        "long request line": b"GET /" + b"a" * 61_440 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        "endless head": GET + b"X: " + b"a" * 70_000,
    }.items(),
)
def test_an_oversized_head(name: str, data: bytes) -> None:

    play(
        mesh(),
        client_sends(data),
        gets_status("431 Request Header Fields Too Large"),
        no_connect(),
        client_is(closed=True),
        cuts=(Cut(), Cut(20_000)),
    )


BAD_RESPONSES = {
    "CL and TE": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "CL twice": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "TE with another coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "TE in two lines": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE without chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "CL with more zeros than int() takes": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"0" * 5000 + b"\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\n\n",
    "folded line": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
    "bare CR": b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
    "NUL": b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "status 99": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "status 2000": b"HTTP/1.1 2000 OK\r\n\r\n",
    "switching": b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 101 + b"Content-Length: 0\r\n\r\n",
    "endless head": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000,
}


@pytest.mark.parametrize("name", BAD_RESPONSES)
def test_a_bad_response_is_never_forwarded(name: str) -> None:

    play(
        mesh(),
        client_sends(GET + b"\r\n"),
        connects("10.0.0.1:80"),
        endpoint_sends(BAD_RESPONSES[name]),
        client_gets("HTTP/1.1 502 Bad Gateway", {"content-type": "text/plain"}, None),
        client_is(closed=False),
        endpoint_is(closed=True),
        cuts=(Cut(20_000),) if len(BAD_RESPONSES[name]) > 10_000 else CUTS,
    )
