import pytest

from mizzen.proxy.codec.h1 import check_transfer_encoding, read_host, read_length, split_target
from mizzen.proxy.codec.headers import FramingError


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/", (b"", b"", b"/")),
        (b"/a?b=http://c", (b"", b"", b"/a?b=http://c")),
        (b"http://reviews:9080/a?b", (b"http", b"reviews:9080", b"/a?b")),
        (b"HTTP://reviews", (b"http", b"reviews", b"/")),
        (b"http://reviews?a/b", (b"http", b"reviews", b"/?a/b")),
        (b"https://[::1]:80/", (b"https", b"[::1]:80", b"/")),
    ],
)
def test_targets(target: bytes, expected: tuple[bytes, bytes, bytes]) -> None:
    assert split_target(b"GET", target) == expected


def test_asterisk_is_for_options() -> None:
    assert split_target(b"OPTIONS", b"*") == (b"", b"", b"*")
    with pytest.raises(FramingError):
        split_target(b"GET", b"*")


@pytest.mark.parametrize(
    "target", [b"/a#b", b"http://a/#b", b"ftp://a/", b"http:///a", b"http://u@a/", b"reviews:9080", b"http://"]
)
def test_targets_that_are_refused(target: bytes) -> None:
    with pytest.raises(FramingError):
        split_target(b"GET", target)


@pytest.mark.parametrize("value", [b"gzip, chunked", b"chunked, chunked", b"identity", b"xchunked", b""])
def test_transfer_encodings_that_are_refused(value: bytes) -> None:
    with pytest.raises(FramingError):
        check_transfer_encoding(b"Transfer-Encoding: " + value)


def test_a_repeated_transfer_encoding_is_refused() -> None:
    with pytest.raises(FramingError):
        check_transfer_encoding(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")


@pytest.mark.parametrize("value", [b"chunked", b"Chunked", b" chunked\t"])
def test_chunked_is_accepted(value: bytes) -> None:
    check_transfer_encoding(b"transfer-encoding:" + value)


@pytest.mark.parametrize(("line", "length"), [(b"Content-Length: 12", 12), (b"content-length:0", 0)])
def test_lengths(line: bytes, length: int) -> None:
    assert read_length(line) == length


@pytest.mark.parametrize(
    "value",
    [b"", b"a b", b"a/b", b"a?b", b"a#b", b"u@a", b"a\\b", b"a\xe9", b"a<b>", b'a"b', b":", b":80"],
)
def test_authorities_that_are_refused(value: bytes) -> None:
    with pytest.raises(FramingError, match="invalid Host"):
        read_host(b"Host: " + value)


def test_two_authorities_are_refused() -> None:
    with pytest.raises(FramingError, match="more than one Host"):
        read_host(b"Host: a\r\nhost: a")


@pytest.mark.parametrize("value", [b"a", b"a.b-c_d:80", b"127.0.0.1:8080", b"[::1]:80", b"xn--9a"])
def test_authorities(value: bytes) -> None:
    assert read_host(b"Host: " + value) == value
