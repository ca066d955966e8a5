"""A request head on its way in: strict reading, then what Envoy's connection manager does to it. ★ hot."""

from __future__ import annotations

from typing import Final

from mizzen.proxy.base import flags
from mizzen.proxy.base.flags import LocalReply
from mizzen.proxy.codec.forwarded import client_behind
from mizzen.proxy.codec.h1 import MAX_HEADERS, check_authority, check_transfer_encoding, read_host, split_target
from mizzen.proxy.codec.headers import (
    HOP_BY_HOP,
    FramingError,
    Head,
    append,
    leave_connection,
    line,
    read_head,
    replace_host,
    tokens,
    value_of,
)
from mizzen.proxy.codec.path import has_escaped_slash, normalize, unescape_slashes
from mizzen.proxy.engine.attributes import FORWARDED_HEADER
from mizzen.proxy.io.client_cert import write_client_cert
from mizzen.proxy.io.connect import address_text
from mizzen.proxy.io.exchange import CHUNKED, SIZED, Exchange
from mizzen.proxy.io.http_manager import HttpManager

PROTO_HTTP: Final = b"x-forwarded-proto: http"
PROTO_HTTPS: Final = b"x-forwarded-proto: https"
_NOT_FROM_OUTSIDE: Final = (b"x-request-id", FORWARDED_HEADER)
TE_TRAILERS: Final = b"te: trailers"


def admit(x: Exchange, lines: list[bytes]) -> LocalReply | None:
    """Read the head of `x` strictly; the answer when it cannot be forwarded. FramingError: 400 and close."""
    words = lines.pop(0).split(b" ")
    if len(words) != 3:
        raise FramingError("a malformed request line")
    x.method, target, version = words
    x.head = head = read_head(lines)
    if x.method == b"CONNECT":  # in any form of target: the endpoint would take what follows for a tunnel
        return flags.UPGRADE_REFUSED
    if len(lines) > MAX_HEADERS:
        return flags.HEADERS_TOO_LARGE
    if version != b"HTTP/1.1":
        refusal = _admit_old_version(x, head, version)
        if refusal is not None:
            return refusal
    host = head.get(b"host")
    if host is None:
        return flags.MISSING_HOST
    x.authority = read_host(host)
    if target[:1] == b"/" and b"#" not in target:
        x.path = target
    else:
        _read_target(x, target)
    if b"content-length" in head:
        x.body_kind = SIZED
    elif b"transfer-encoding" in head:
        check_transfer_encoding(head[b"transfer-encoding"])
        x.body_kind = CHUNKED
    if not HOP_BY_HOP.isdisjoint(head):
        return _leave_connection(x, head)
    return None


def _leave_connection(x: Exchange, head: Head) -> LocalReply | None:
    """Take out what concerns the client's connection alone; an upgrade of it is refused."""
    upgrade = tokens(value_of(head, b"upgrade") or b"")
    trailers = b"te" in head and b"trailers" in tokens(value_of(head, b"te") or b"")
    options = leave_connection(head)
    if options.upgrade and upgrade not in ([], [b"h2c"]):  # an offer of HTTP/2 is only ignored, as Envoy does
        return flags.UPGRADE_REFUSED
    x.keep_alive = not options.close and (not x.http_10 or options.keep_alive)
    if trailers:
        head[b"te"] = TE_TRAILERS
    return None


def _read_target(x: Exchange, target: bytes) -> None:
    """Anything but plain origin form; the authority of an absolute-form target replaces the Host header."""
    _, authority, x.path = split_target(x.method, target)
    if authority and authority != x.authority:
        x.authority = check_authority(authority)
        replace_host(x.head, authority)


def _admit_old_version(x: Exchange, head: Head, version: bytes) -> LocalReply | None:
    if version != b"HTTP/1.0":
        raise FramingError("an HTTP version other than 1.0 and 1.1")
    x.http_10 = True
    x.keep_alive = False  # unless its Connection header says so
    if not x.manager.accept_http_10:
        return flags.LOW_VERSION
    if b"transfer-encoding" in head:
        raise FramingError("a Transfer-Encoding in HTTP/1.0")
    return None


def prepare(x: Exchange, manager: HttpManager) -> None:
    """Path normalisation, x-request-id and the x-forwarded headers: what happens before the route is looked up."""
    if manager.escaped_slashes != "keep":
        _judge_escaped_slashes(x, manager)
    if manager.normalize_path:
        x.path = normalize(x.path, manager.merge_slashes)
    if manager.use_remote_address:
        _enter_edge(x, manager)
    head = x.head
    if manager.via:
        append(head, b"via", manager.via)
    if manager.names_client or b"x-forwarded-client-cert" in head:
        write_client_cert(head, manager.client_cert, x.downstream.arrival)
    if manager.generate_request_id and b"x-request-id" not in head:
        head[b"x-request-id"] = b"x-request-id: " + x.downstream.runtime.request_ids.next()
    if b"x-forwarded-proto" in head:
        x.scheme = value_of(head, b"x-forwarded-proto") or b"http"
    else:
        arrival = x.downstream.arrival
        if arrival is not None and arrival.is_secured:
            head[b"x-forwarded-proto"] = PROTO_HTTPS
            x.scheme = b"https"
        else:
            head[b"x-forwarded-proto"] = PROTO_HTTP


def _judge_escaped_slashes(x: Exchange, manager: HttpManager) -> None:
    if manager.escaped_slashes == "unescape":
        x.path = unescape_slashes(x.path)
    elif has_escaped_slash(x.path):
        raise FramingError("an escaped slash in the path")


def _enter_edge(x: Exchange, manager: HttpManager) -> None:
    """An edge believes the connection, and of the headers only what its trusted hops wrote."""
    head = x.head
    client = peer = x.downstream.peer_host
    behind = client_behind(head, manager.trusted_hops)
    drop = [*_NOT_FROM_OUTSIDE, *(low for low in head if low.startswith(b"x-envoy-"))]
    if behind:
        client = behind.encode()
        x.remote_address = address_text((behind, 0))
    else:
        drop.append(b"x-forwarded-proto")
    for low in drop:
        head.pop(low, None)
    forwarded = value_of(head, b"x-forwarded-for")
    head[b"x-forwarded-for"] = line(b"x-forwarded-for", forwarded + b"," + peer if forwarded else peer)
    head[b"x-envoy-external-address"] = line(b"x-envoy-external-address", client)
