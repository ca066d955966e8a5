"""Where tokens are in requests: headers, query parameters, cookies; found, and taken out. ★ hot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from mizzen.proxy.codec.headers import Head
from mizzen.proxy.engine.jwt.plan import ProviderPlan

HEADER: Final = 0
PARAM: Final = 1
COOKIE: Final = 2
DEFAULT_HEADER: Final = ("authorization", "Bearer ")
DEFAULT_PARAM: Final = "access_token"
_TOKEN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


class Place(NamedTuple):
    """Somewhere a token may be."""

    kind: int
    """HEADER, PARAM or COOKIE."""
    name: bytes
    """Lower case if it is a header's."""
    prefix: bytes
    """What stands before the token."""
    issuers: frozenset[str]
    """Whose tokens may be there; "" is anybody."""


class Found(NamedTuple):
    """A token in its place."""

    text: bytes
    place: Place


class Places:
    """The places of one or several providers."""

    __slots__ = ("_has_cookies", "_has_params", "_places")

    def __init__(self, providers: Iterable[ProviderPlan]) -> None:
        issuers: dict[tuple[int, bytes, bytes], set[str]] = {}
        for provider in providers:
            for key in _of(provider):
                issuers.setdefault(key, set()).add(provider.issuer)
        self._places = [Place(*key, frozenset(whose)) for key, whose in sorted(issuers.items(), key=_envoys_order)]
        self._has_params = any(place.kind == PARAM for place in self._places)
        self._has_cookies = any(place.kind == COOKIE for place in self._places)

    def find(self, head: Head, path: bytes) -> list[Found]:
        """All tokens of a request, in Envoy's order: headers, parameters, cookies, each by name."""
        params = _params(path) if self._has_params and b"?" in path else {}
        cookies = _cookies(head[b"cookie"]) if self._has_cookies and b"cookie" in head else {}
        found: list[Found] = []
        for place in self._places:
            if place.kind == HEADER:
                if place.name in head:
                    found += [Found(text, place) for text in _in_header(head[place.name], place)]
            else:
                value = (params if place.kind == PARAM else cookies).get(place.name)
                if value is not None:
                    found.append(Found(value, place))
        return found


def without_param(path: bytes, name: bytes) -> bytes:
    """The path without a query parameter; the others stay as they were written."""
    start, _, query = path.partition(b"?")
    kept = [pair for pair in query.split(b"&") if unquote_to_bytes(pair.partition(b"=")[0]) != name]
    return start + b"?" + b"&".join(kept) if kept else start


def _of(provider: ProviderPlan) -> list[tuple[int, bytes, bytes]]:
    headers, params, cookies = provider.headers, provider.params, provider.cookies
    if not headers and not params and not cookies:
        headers, params = (DEFAULT_HEADER,), (DEFAULT_PARAM,)
    return [
        *((HEADER, name.lower().encode(), prefix.encode()) for name, prefix in headers),
        *((PARAM, name.encode(), b"") for name in params),
        *((COOKIE, name.encode(), b"") for name in cookies),
    ]


def _envoys_order(entry: tuple[tuple[int, bytes, bytes], set[str]]) -> tuple[int, bytes]:
    (kind, name, prefix), _ = entry
    return kind, name + prefix


def _in_header(lines: bytes, place: Place) -> list[bytes]:
    """The token of each line: what follows the prefix, wherever that is, from the first character that a token has."""
    found = []
    size = len(place.name) + 1
    for one in lines.split(b"\r\n"):
        value = one[size:].strip(b" \t")
        if place.prefix:
            at = value.find(place.prefix)
            if at < 0:
                continue
            value = _from_token(value, at + len(place.prefix))
        found.append(value)
    return found


def _from_token(value: bytes, start: int) -> bytes:
    for index in range(start, len(value)):
        if value[index] in _TOKEN:
            return value[index:]
    return value


def _params(path: bytes) -> dict[bytes, bytes]:
    """The first value of each query parameter."""
    found: dict[bytes, bytes] = {}
    for pair in path.partition(b"?")[2].split(b"&"):
        name, _, value = pair.partition(b"=")
        found.setdefault(unquote_to_bytes(name), unquote_to_bytes(value))
    return found


def _cookies(lines: bytes) -> dict[bytes, bytes]:
    """The first value of each cookie, without quotes."""
    found: dict[bytes, bytes] = {}
    for one in lines.split(b"\r\n"):
        for pair in one.partition(b":")[2].split(b";"):
            name, mark, value = pair.strip(b" \t").partition(b"=")
            if mark:
                quoted = len(value) >= 2 and value[:1] == value[-1:] == b'"'
                found.setdefault(name, value[1:-1] if quoted else value)
    return found
