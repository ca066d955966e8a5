"""Attributes that a request's checks can depend on, as functions of the exchange.

Only what tells two requests apart is needed here: a cached result is found again by the raw values, whatever their form
on the wire. What the filter and the route say is the same for all requests of a context and has no getter.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Final, Protocol, TypeAlias

from mizzen.attributes.identity import TOKEN, Claims
from mizzen.attributes.values import Value
from mizzen.proxy.codec.headers import Head
from mizzen.proxy.engine.api_spec import bind_api
from mizzen.proxy.engine.arrival import Identities
from mizzen.proxy.engine.match import query_value
from mizzen.proxy.engine.mixer_plan import DEFAULT_KEYS, ApiPlan

Reference: TypeAlias = str | tuple[str, str]
"""An attribute, or an attribute and a key of its map."""

FORWARDED_HEADER: Final = b"x-istio-attributes"
"""What a proxy tells the next one; base64 of `istio.mixer.v1.Attributes`."""
API_KEY: Final = "request.api_key"
_CLAIMS: Final = "request.auth.claims"


class CheckView(Protocol):
    """What checks read of an exchange."""

    method: bytes
    path: bytes
    authority: bytes
    scheme: bytes
    head: Head
    forwarded: bytes
    started_at: float

    @property
    def client_host(self) -> bytes: ...

    @property
    def identities(self) -> Identities: ...

    @property
    def claims(self) -> Claims | None: ...


Getter: TypeAlias = Callable[[CheckView], Hashable]
"""Two requests with the same value have the same attribute. Not the attribute's value: None is absent, no more."""


def bind_getters(
    references: Iterable[Reference], *, trusts_peer: bool, api: ApiPlan | None = None
) -> tuple[Getter, ...]:
    """What a result that depends on `references` is to be found by, in an order that is always the same."""
    getters: dict[str, Getter] = {}
    for reference in references:
        name, key = (reference, "") if isinstance(reference, str) else reference
        if key and name == "request.headers":
            getters[f"{name}[{key}]"] = _header(key)
        elif key and name == _CLAIMS:
            getters[f"{name}[{key}]"] = _claim(key)
        elif name in _DERIVED:
            getters[name] = _DERIVED[name]
        elif name == API_KEY:
            for kind, place in DEFAULT_KEYS if api is None else api.keys:
                getters[f"{kind}[{place}]"] = _KEYS[kind](place)
        if api is not None and name in api.names:
            getters["api"] = _api(api)
        if trusts_peer and (name not in _DERIVED or name in _ONLY_IF_ABSENT):
            getters["forwarded"] = _forwarded
    return tuple(getters[name] for name in sorted(getters))


def _api(plan: ApiPlan) -> Getter:
    """What the patterns of an API say."""
    attributes = bind_api(plan).attributes
    return lambda x: attributes(x.method, x.path)


def _parameter(name: str) -> Getter:
    key = name.encode()
    return lambda x: query_value(x.path, key)


def _cookies(name: str) -> Getter:
    return _line(b"cookie")


def _forwarded(x: CheckView) -> Hashable:
    return x.forwarded


def _path(x: CheckView) -> Hashable:
    return x.path


def _url_path(x: CheckView) -> Hashable:
    return x.path.partition(b"?")[0]


def _query(x: CheckView) -> Hashable:
    return x.path.partition(b"?")[2]


def _method(x: CheckView) -> Hashable:
    return x.method


def _authority(x: CheckView) -> Hashable:
    return x.authority


def _scheme(x: CheckView) -> Hashable:
    return x.scheme


def _client(x: CheckView) -> Hashable:
    return x.client_host


def _identity(which: int) -> Getter:
    return lambda x: x.identities[which]


def _token(read: Callable[[Claims], Value]) -> Getter:
    """What an attribute says of the user's token."""

    def get(x: CheckView) -> Hashable:
        claims = x.claims
        value = None if claims is None else read(claims)
        return tuple(sorted(value.items())) if isinstance(value, Mapping) else value

    return get


def _claim(name: str) -> Getter:
    """An entry of request.auth.claims: of texts alone, so that others cannot be told from none."""

    def get(x: CheckView) -> Hashable:
        claims = x.claims
        value = None if claims is None else claims.get(name)
        return value if isinstance(value, str) else None

    return get


def _started(x: CheckView) -> Hashable:
    return x.started_at


def _all_headers(x: CheckView) -> Hashable:
    return (x.method, x.path, x.authority, x.scheme, *x.head.values())


def _line(name: bytes) -> Getter:
    return lambda x: x.head.get(name)


def _header(key: str) -> Getter:
    """An entry of request.headers."""
    low = key.lower().encode("utf-8", "surrogateescape")
    known = _PSEUDO.get(low)
    return _line(low) if known is None else known


_PSEUDO: Final[dict[bytes, Getter]] = {
    b":method": _method,
    b":path": _path,
    b":authority": _authority,
    b":scheme": _scheme,
}
_KEYS: Final[dict[str, Callable[[str], Getter]]] = {"query": _parameter, "header": _header, "cookie": _cookies}
_DERIVED: Final[dict[str, Getter]] = {
    "request.headers": _all_headers,
    "request.host": _authority,
    "request.method": _method,
    "request.path": _path,
    "request.url_path": _url_path,
    "request.query_params": _query,
    "request.scheme": _scheme,
    "request.referer": _line(b"referer"),
    "request.useragent": _line(b"user-agent"),
    "request.time": _started,
    "context.protocol": _line(b"content-type"),
    "origin.ip": _client,
    "source.ip": _client,
    "source.principal": _identity(0),
    "source.user": _identity(0),
    "source.namespace": _identity(0),
    "connection.mtls": _identity(0),
    "destination.principal": _identity(1),
    "connection.requested_server_name": _identity(2),
    **{name: _token(read) for name, read in TOKEN.items()},
}
"""What the request says, and what its sender proved. It replaces what others said of it, but for `_ONLY_IF_ABSENT`."""
_ONLY_IF_ABSENT: Final = frozenset(
    {"source.ip", "source.namespace", "destination.principal", "connection.requested_server_name"}
)
