import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizzen.proxy.codec.headers import FramingError
from mizzen.proxy.codec.path import has_escaped_slash, normalize, unescape_slashes

SEGMENTS = st.lists(st.sampled_from([".", "..", "a", "b.", "...", "%2e", "%2E%2e", "%41"]), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/a/b", b"/a/b"),
        (b"/a/../b", b"/b"),
        (b"/a/./b/.", b"/a/b/"),
        (b"/a/..", b"/"),
        (b"/../../a", b"/a"),
        (b"/a/%2e%2E/b", b"/b"),
        (b"/%61%2f", b"/a%2f"),
        (b"/a\\..\\b", b"/b"),
        (b"/a?b=/../c", b"/a?b=/../c"),
        (b"/a/../b?c=%2e", b"/b?c=%2e"),
        (b"*", b"*"),
    ],
)
def test_normalize(path: bytes, expected: bytes) -> None:
    assert normalize(path, merge_slashes=False) == expected


def test_slashes_merge_only_when_asked() -> None:
    assert normalize(b"//a///b", merge_slashes=False) == b"//a///b"
    assert normalize(b"//a///b", merge_slashes=True) == b"/a/b"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/a%2fb%2Fc", b"/a/b/c"),
        (b"/a%5cb%5C", b"/a\\b\\"),
        (b"/a%252fb", b"/a%252fb"),
        (b"/a?b=%2f", b"/a?b=%2f"),
    ],
)
def test_escaped_slashes_are_found_in_the_path_alone(path: bytes, expected: bytes) -> None:
    assert unescape_slashes(path) == expected
    assert has_escaped_slash(path) == (path != expected)


def test_an_escaped_nul_is_refused() -> None:
    with pytest.raises(FramingError):
        normalize(b"/a%00", merge_slashes=False)


@given(SEGMENTS)
def test_agrees_with_posixpath(segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    plain = path.replace("%2e", ".").replace("%2E", ".").replace("%41", "A")
    assert normalize(path.encode(), merge_slashes=False).rstrip(b"/") == posixpath.normpath(plain).encode().rstrip(b"/")


@given(SEGMENTS)
def test_a_second_time_changes_nothing(segments: list[str]) -> None:
    once = normalize(("/" + "/".join(segments)).encode(), merge_slashes=True)
    assert normalize(once, merge_slashes=True) == once
