"""What workers say of requests, as attributes of Istio's vocabulary.

Later ones win: the filter's, the service's, those that the peer forwarded, what the request itself says, what its API
does. Source: istio/proxy, src/istio/control/http/attributes_builder.cc at 1.0.9 and 1.1.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from google.protobuf.message import DecodeError

from mizzen.attributes.compressed import address
from mizzen.attributes.http import head_attributes
from mizzen.attributes.identity import PROVED, connection_attributes, token_attributes
from mizzen.attributes.reporter import KIND, own_names
from mizzen.attributes.values import Value
from mizzen.proto.attributes_pb2 import Attributes
from mizzen.proxy.app.mixer.api import api_key, stated_by_api
from mizzen.proxy.engine.arrival import Identities
from mizzen.proxy.engine.attributes import API_KEY, FORWARDED_HEADER
from mizzen.proxy.engine.control import CheckFacts, ReportRecord, RequestFacts, ResponseFacts
from mizzen.proxy.engine.mixer_plan import MixerContext
from mizzen.proxy.engine.verdict import http_status

_LEFT_OUT = frozenset({FORWARDED_HEADER.decode(), "host"})  # :authority stands for Host
_NO_RESPONSE = 500
"""The code of a request that got no response, as in Istio."""


class ReportAttributes(NamedTuple):
    """Of one report: what it has in common with others, which is one object for all of them, and the rest."""

    common: Mapping[str, Value]
    own: dict[str, Value]


def check_attributes(context: MixerContext, request: RequestFacts) -> dict[str, Value]:
    """What a check may depend on."""
    return {**_peer_attributes(context.attributes, *request[6:9]), **_request_attributes(context, request)}


def report_attributes(context: MixerContext, record: ReportRecord) -> ReportAttributes:
    """All that is known of a finished request."""
    _, request, response, check = record
    status, head, trailers, _, _, responded, duration, flags, endpoint = response
    common = _common_attributes(context.attributes, request[6:9], (status, flags, endpoint), check)
    own = _request_attributes(context, request)
    _add_sizes(own, request[5], response)
    own["response.duration"] = timedelta(seconds=duration)
    own["response.time"] = datetime.fromtimestamp(responded or request[0] + duration, UTC)
    own["response.headers"] = headers = _headers(head)
    if trailers:
        headers.update(_headers(trailers))
    headers[":status"] = str(status)
    for name, header in (("response.grpc_status", "grpc-status"), ("response.grpc_message", "grpc-message")):
        if header in headers:
            own[name] = headers[header]
    if own.keys().isdisjoint(common):
        return ReportAttributes(common, own)
    return ReportAttributes({}, {**common, **own})


def _request_attributes(context: MixerContext, request: RequestFacts) -> dict[str, Value]:
    """What the request itself says, and its API."""
    started, method, path, authority, scheme, head, _, _, _, claims = request
    headers = _headers(head)
    headers[":method"], headers[":path"] = text(method), text(path)
    headers[":authority"], headers[":scheme"] = text(authority), text(scheme)
    attributes = head_attributes(headers)
    attributes["request.time"] = datetime.fromtimestamp(started, UTC)
    key = api_key(context.api, request, attributes)
    if context.api is not None:
        attributes.update(stated(stated_by_api(context.api, request)))
    if key is not None:
        attributes[API_KEY] = key
    if claims is not None:
        attributes.update(token_attributes(claims))
    return attributes


@lru_cache(maxsize=4096)
def _peer_attributes(configured: bytes, forwarded: bytes, client: bytes, identities: Identities) -> Mapping[str, Value]:
    """What configuration, the peer and the connection say, and the request does not."""
    attributes = dict(stated(configured))
    if forwarded:
        # Nobody else says who this proxy is (Mixer would take it for an impostor), nor who has proved what.
        not_believed = own_names(str(attributes.get(KIND, ""))) | PROVED
        said = forwarded_attributes(forwarded)
        attributes.update((name, value) for name, value in said.items() if name not in not_believed)
    add_identities(attributes, identities)
    peer = ip(client)
    if peer is not None:
        attributes["origin.ip"] = peer
        attributes.setdefault("source.ip", peer)
    return attributes


@lru_cache(maxsize=4096)
def _common_attributes(
    configured: bytes, peer: tuple[bytes, bytes, Identities], outcome: tuple[int, str, str], check: CheckFacts
) -> Mapping[str, Value]:
    """What many requests between the same two have in common; `outcome` is status, flags and endpoint."""
    attributes = dict(_peer_attributes(configured, *peer))
    status, flags, endpoint = outcome
    attributes["response.code"] = status or (http_status(check[0]) if check and check[0] else _NO_RESPONSE)
    attributes["context.proxy_error_code"] = flags or "-"
    if endpoint:
        for name, value in endpoint_attributes(endpoint):
            attributes.setdefault(name, value)
    add_check(attributes, check)
    return attributes


def _add_sizes(attributes: dict[str, Value], head: bytes, response: ResponseFacts) -> None:
    _, response_head, trailers, received, sent, *_ = response
    attributes["request.size"], attributes["response.size"] = received, sent
    attributes["request.total_size"] = received + _size(head)
    attributes["response.total_size"] = sent + _size(response_head) + _size(trailers)


def _size(block: bytes) -> int:
    return len(block) + 2 if block else 0


def add_identities(attributes: dict[str, Value], identities: Identities) -> None:
    """What TLS has proved. Who reports stays who configuration says: at a gateway the client has another namespace."""
    own = {name: attributes[name] for name in own_names(str(attributes.get(KIND, ""))) & attributes.keys()}
    attributes.update(connection_attributes(*identities))
    attributes.update(own)


def add_check(attributes: dict[str, Value], check: CheckFacts) -> None:
    """What became of the check."""
    if check is None:
        return
    code, message, cached, quota_cached = check
    attributes["check.cache_hit"] = cached
    attributes["quota.cache_hit"] = quota_cached
    if code:
        attributes["check.error_code"] = code
        attributes["check.error_message"] = message


# -- small readings; the same values come again and again -----------------------------------------------------------


def text(data: bytes) -> str:
    """Text that `mizzen.attributes` writes out as the bytes it was."""
    return data.decode("utf-8", "surrogateescape")


@lru_cache(maxsize=4096)
def ip(host: bytes) -> IPv4Address | IPv6Address | None:
    """An address from its text; None for what is none."""
    try:
        return ip_address(host.decode("latin-1"))
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def endpoint_attributes(key: str) -> tuple[tuple[str, Value], ...]:
    """`10.0.0.1:9080` as attributes of the destination."""
    host, _, port = key.rpartition(":")
    found = ip(host.strip("[]").encode())
    return () if found is None else (("destination.ip", found), ("destination.port", int(port)))


def _headers(block: bytes) -> dict[str, str]:
    """Of the lines of a head by lower-case names, without what proxies tell each other; repeated ones together."""
    if not block:
        return {}
    lines = text(block).split("\r\n")
    headers = dict(map(_header, lines))
    if len(headers) < len(lines):
        headers = {}
        for name, value in map(_header, lines):
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    headers.pop("", None)
    return headers


@lru_cache(maxsize=8192)
def _header(line: str) -> tuple[str, str]:
    """Lower-case name and value of a line; an empty name for what is left out."""
    name, _, value = line.partition(":")
    name = name.lower()
    return ("", "") if name in _LEFT_OUT else (name, value.strip(" \t"))


@lru_cache(maxsize=1024)
def stated(data: bytes) -> Mapping[str, Value]:
    """The values of serialised `istio.mixer.v1.Attributes`. Raises DecodeError."""
    found: dict[str, Value] = {}
    for name, item in Attributes.FromString(data).attributes.items():
        kind = item.WhichOneof("value")
        if kind is not None:
            found[name] = _value(kind, item)
    return found


@lru_cache(maxsize=4096)
def forwarded_attributes(header: bytes) -> Mapping[str, Value]:
    """What a peer says in x-istio-attributes; nothing when it cannot be read."""
    try:
        return stated(b64decode(header, validate=True))
    except (binascii.Error, DecodeError, ValueError, OverflowError):
        return {}


def _value(kind: str, item: Attributes.AttributeValue) -> Value:
    if kind == "bytes_value":
        return address(item.bytes_value)
    if kind == "timestamp_value":
        stamp = item.timestamp_value
        return datetime.fromtimestamp(stamp.seconds, UTC) + timedelta(microseconds=stamp.nanos // 1000)
    if kind == "duration_value":
        length = item.duration_value
        return timedelta(seconds=length.seconds, microseconds=length.nanos // 1000)
    if kind == "string_map_value":
        return dict(item.string_map_value.entries)
    value: Value = getattr(item, kind)
    return value
