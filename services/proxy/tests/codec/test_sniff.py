"""First bytes: what they are, however they are cut."""

import random
import ssl
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizzen.proxy.codec.sniff import (
    FOUND,
    MAX_HELLO,
    MAX_LINE,
    MAX_PROTOCOLS,
    OTHER,
    PREFACE,
    TOO_LARGE,
    WAITING,
    HttpSniffer,
    TlsSniffer,
)


def client_hello(name: str | None = "reviews.default.svc", protocols: tuple[str, ...] = ("istio", "h2")) -> bytes:
    """The first record of OpenSSL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if protocols:
        context.set_alpn_protocols(list(protocols))
    sent = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return sent.read()


def vector(data: bytes, size: int) -> bytes:
    return len(data).to_bytes(size, "big") + data


def made_hello(*names: bytes) -> bytes:
    """A ClientHello of our own making, for names that OpenSSL would not send, each in an extension of its own."""
    stated = b"".join(b"\0\0" + vector(vector(b"\0" + vector(name, 2), 2), 2) for name in names)
    body = b"\3\3" + bytes(32) + vector(b"", 1) + vector(b"\x13\x01", 2) + vector(b"\0", 1) + vector(stated, 2)
    return records(b"\1" + vector(body, 3), [])


def records(message: bytes, cuts: list[int]) -> bytes:
    """A handshake message in as many records."""
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(message)}), len(message)]
    return b"".join(b"\x16\3\1" + vector(message[a:b], 2) for a, b in pairwise(edges))


def feed(sniffer: HttpSniffer | TlsSniffer, data: bytes, cuts: list[int]) -> int:
    """The state after the pieces, none of which comes after the state is known."""
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(data)}), len(data)]
    state = WAITING
    for a, b in pairwise(edges):
        state = sniffer.feed(data[a:b])
        if state != WAITING:
            break
    return state


HELLO = client_hello()
CUTS = st.lists(st.integers(0, 600), max_size=40)


@given(cuts=CUTS, records_at=CUTS)
def test_a_client_hello_is_known_however_it_is_cut(cuts: list[int], records_at: list[int]) -> None:
    sniffer = TlsSniffer()
    assert feed(sniffer, records(HELLO[5:], records_at), cuts) == FOUND
    assert (sniffer.server_name, sniffer.protocols) == ("reviews.default.svc", ("istio", "h2"))


@given(length=st.integers(1, len(HELLO) - 1))
def test_a_part_of_a_client_hello_waits_for_the_rest(length: int) -> None:
    assert TlsSniffer().feed(HELLO[:length]) == WAITING


def test_a_client_hello_without_names() -> None:
    sniffer = TlsSniffer()
    assert sniffer.feed(client_hello(None, ())) == FOUND
    assert (sniffer.server_name, sniffer.protocols) == ("", ())


@pytest.mark.parametrize(
    ("sent", "known"),
    [(b"Reviews.Example", "reviews.example"), (b"a\nforged line", ""), (b"", ""), (b"_srv.a-b", "_srv.a-b")],
)
def test_server_names_are_lower_case_and_forge_no_log(sent: bytes, known: str) -> None:
    sniffer = TlsSniffer()
    assert sniffer.feed(made_hello(sent)) == FOUND
    assert sniffer.server_name == known


def test_of_protocols_without_end_the_first_are_known() -> None:
    sniffer = TlsSniffer()
    assert sniffer.feed(client_hello(protocols=tuple(f"{number:05}" for number in range(2_000)))) == FOUND
    assert sniffer.protocols == tuple(f"{number:05}" for number in range(MAX_PROTOCOLS))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x02",  # not a version of TLS
        b"\x16\3\1\0\0",  # an empty record
        b"\x16\3\1\xff\xff",  # a record that is too long
        b"\x16\3\1\0\1\2",  # a ServerHello
        records(b"\1" + vector(b"\3\3", 3), []),  # cut short inside
        made_hello(b"forbidden.example", b"allowed.example"),  # two readers could see two names
    ],
)
def test_what_is_not_tls(data: bytes) -> None:
    assert TlsSniffer().feed(data) == OTHER


def test_a_client_hello_without_end_is_given_up() -> None:
    assert TlsSniffer().feed(b"\x16\3\1\0\4\1\2\0\0") == TOO_LARGE  # announces 128 KiB
    sniffer, fed = TlsSniffer(), 0
    message = b"\1" + (MAX_HELLO - 1).to_bytes(3, "big") + bytes(MAX_HELLO)
    state = WAITING
    for byte in records(message, list(range(1, len(message), 50))):
        fed += 1
        state = sniffer.feed(bytes((byte,)))
        if state != WAITING:
            break
    assert (state, fed) == (TOO_LARGE, MAX_HELLO)


@given(data=st.binary(max_size=300), cuts=CUTS, tail=st.booleans())
def test_any_bytes_get_an_answer_and_the_cuts_do_not_matter(data: bytes, cuts: list[int], tail: bool) -> None:
    data = HELLO[:60] + data if tail else data
    for kind in (TlsSniffer, HttpSniffer):
        whole, cut = kind(), kind()
        assert whole.feed(data) == (feed(cut, data, cuts) if data else WAITING)


@pytest.mark.parametrize(
    ("data", "state", "protocol"),
    [
        (b"GET / HTTP/1.1\r\n", FOUND, "http/1.1"),
        (b"GET / HTTP/1.1\n", FOUND, "http/1.1"),
        (b"M-SEARCH * HTTP/1.0\r\nHost: a\r\n\r\n", FOUND, "http/1.0"),
        (PREFACE + b"\0\0\0\4\0", FOUND, "h2c"),
        (PREFACE[:-1], WAITING, ""),
        (b"PRI * HTTP/2.1", OTHER, ""),
        (b"P", WAITING, ""),
        (b"PR", WAITING, ""),
        (b"PROPFIND /", WAITING, ""),
        (b"PROPFIN /", OTHER, ""),
        (b"UNSUBSCRIBE", WAITING, ""),
        (b"GETT", OTHER, ""),
        (b"get / HTTP/1.1\r\n", OTHER, ""),
        (b"GET key\r\n", OTHER, ""),  # memcached
        (b"GET / HTTP/2.0\r\n", OTHER, ""),
        (b"GET  HTTP/1.1\r\n", OTHER, ""),
        (b"*1\r\n$4\r\nPING\r\n", OTHER, ""),  # Redis
        (b"EHLO a\r\n", OTHER, ""),
        (b"\r\nGET / HTTP/1.1\r\n", OTHER, ""),
        (b"\x16\3\1", OTHER, ""),
        (b"GET /" + b"a" * MAX_LINE, OTHER, ""),
    ],
)
def test_first_lines(data: bytes, state: int, protocol: str) -> None:
    sniffer = HttpSniffer()
    assert (sniffer.feed(data), sniffer.protocol) == (state, protocol)


@given(cuts=CUTS)
def test_a_request_line_is_known_however_it_is_cut(cuts: list[int]) -> None:
    for data, protocol in ((b"OPTIONS /a/long/path?with=query HTTP/1.1\r\n", "http/1.1"), (PREFACE, "h2c")):
        sniffer = HttpSniffer()
        assert feed(sniffer, data, cuts) == FOUND
        assert sniffer.protocol == protocol


def test_what_is_opaque_is_known_at_the_first_byte_that_tells() -> None:
    rng = random.Random(4)
    for _ in range(200):
        first = bytes((rng.choice(b"abcxyz0123456789*+-$\0\xff"),))
        assert HttpSniffer().feed(first) == OTHER
