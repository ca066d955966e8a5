"""Path normalisation (RFC 3986 §6.2.2), as Envoy's `normalize_path` and `merge_slashes` do it."""

from __future__ import annotations

import re
from typing import Final

from mizzen.proxy.codec.headers import FramingError

_UNRESERVED: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
_ESCAPE: Final = re.compile(rb"%([0-9a-fA-F]{2})")
_SUSPECT: Final = re.compile(rb"[%\\]|/\.|//")
_ESCAPED_SLASH: Final = re.compile(rb"%(?:2[fF]|5[cC])")
_SLASHES: Final = re.compile(rb"//+")


def unescape_slashes(target: bytes) -> bytes:
    """`%2F` and `%5C` of the path as what they stand for; the query is left as it is."""
    path, separator, query = target.partition(b"?")
    return _ESCAPED_SLASH.sub(_unescape, path) + separator + query


def has_escaped_slash(target: bytes) -> bool:
    """Whether the path has `%2F` or `%5C`."""
    return _ESCAPED_SLASH.search(target.partition(b"?")[0]) is not None


def normalize(target: bytes, merge_slashes: bool) -> bytes:
    """The path with dot segments resolved and needless escapes decoded; the query is left as it is.

    FramingError for an escaped NUL.
    """
    if _SUSPECT.search(target) is None:
        return target
    path, separator, query = target.partition(b"?")
    if path[:1] != b"/":
        return target
    path = _ESCAPE.sub(_decode, path.replace(b"\\", b"/"))
    path = _without_dot_segments(path)
    if merge_slashes:
        path = _SLASHES.sub(b"/", path)
    return path + separator + query


def _unescape(escape: re.Match[bytes]) -> bytes:
    return b"/" if escape[0][1:2] == b"2" else b"\\"


def _decode(escape: re.Match[bytes]) -> bytes:
    code = int(escape[1], 16)
    if code == 0:
        raise FramingError("an escaped NUL in the path")
    return bytes((code,)) if code in _UNRESERVED else escape[0]


def _without_dot_segments(path: bytes) -> bytes:
    segments = path.split(b"/")[1:]
    kept: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            if kept:
                kept.pop()
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)
