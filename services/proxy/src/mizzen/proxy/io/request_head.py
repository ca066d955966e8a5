"""A request head on its way in: strict reading, then what Envoy's connection manager does to it. ★ hot."""

from __future__ import annotations

from mizzen.proxy.base import flags
from mizzen.proxy.base.flags import LocalReply
from mizzen.proxy.codec.h1 import MAX_HEADERS, check_transfer_encoding, is_valid_authority, split_target
from mizzen.proxy.codec.headers import USUAL_CONNECTION, FramingError, Noted, fold, tokens, without_nominated
from mizzen.proxy.codec.path import normalize
from mizzen.proxy.io.exchange import CHUNKED, SIZED, Exchange
from mizzen.proxy.io.http_manager import HttpManager

PROTO_HTTP = (b"x-forwarded-proto", b"http")


def admit(x: Exchange, target: bytes, noted: Noted, version: str) -> LocalReply | None:
    """Read the head of `x` strictly; the answer when it cannot be forwarded. FramingError: 400 and close.

    `version` may be "" when it can only be 1.1.
    """
    if len(x.head) > MAX_HEADERS:
        return flags.HEADERS_TOO_LARGE
    if version and version != "1.1":
        refusal = _admit_old_version(x, noted, version)
        if refusal is not None:
            return refusal
    authority = noted.get(b"host")
    if authority is None:
        return flags.MISSING_HOST
    if target[:1] == b"/" and b"#" not in target:
        x.path = target
    else:
        authority = _read_target(x, target, authority)
    if not is_valid_authority(authority):
        raise FramingError("an invalid Host")
    x.authority = authority
    if b"content-length" in noted:
        x.body_kind = SIZED
    elif b"transfer-encoding" in noted:
        check_transfer_encoding(noted[b"transfer-encoding"])
        x.body_kind = CHUNKED
    x.fields = noted
    # A line that was only noted can be made up for by a repeated one, so the count alone does not tell.
    if len(noted) != len(x.head) or b"connection" in noted or b"te" in noted:
        return _leave_connection(x, noted)
    return None


def _leave_connection(x: Exchange, noted: Noted) -> LocalReply | None:
    """Take out what concerns the client's connection alone; an upgrade of it is refused."""
    connection = noted.get(b"connection")
    if connection is not None and connection not in USUAL_CONNECTION:
        if _refuses_upgrade(noted):
            return flags.UPGRADE_REFUSED
        x.head = without_nominated(x.head, connection)
    if b"te" in noted and b"trailers" in tokens(noted[b"te"]):
        x.head.append((b"te", b"trailers"))
    x.fields = fold(x.head)
    return None


def _read_target(x: Exchange, target: bytes, authority: bytes) -> bytes:
    """Anything but plain origin form; the authority of an absolute-form target replaces the Host header."""
    _, uri_authority, x.path = split_target(x.method, target)
    if not uri_authority or uri_authority == authority:
        return authority
    x.head = [(name, uri_authority if name.lower() == b"host" else value) for name, value in x.head]
    return uri_authority


def _refuses_upgrade(noted: Noted) -> bool:
    """An upgrade is refused, but an offer of HTTP/2 over plaintext is only ignored, as Envoy does."""
    if b"upgrade" not in noted or b"upgrade" not in tokens(noted[b"connection"]):
        return False
    return tokens(noted[b"upgrade"]) != [b"h2c"]


def _admit_old_version(x: Exchange, noted: Noted, version: str) -> LocalReply | None:
    if version != "1.0":
        raise FramingError("an HTTP version other than 1.0 and 1.1")
    x.http_10 = True
    if not x.manager.accept_http_10:
        return flags.LOW_VERSION
    if b"transfer-encoding" in noted:
        raise FramingError("a Transfer-Encoding in HTTP/1.0")
    return None


def prepare(x: Exchange, manager: HttpManager) -> None:
    """Path normalisation, x-request-id and the x-forwarded headers: what happens before the route is looked up."""
    if manager.normalize_path:
        x.path = normalize(x.path, manager.merge_slashes)
    if manager.use_remote_address:
        _enter_edge(x, manager)
    fields = x.fields or {}
    if manager.generate_request_id and b"x-request-id" not in fields:
        fields[b"x-request-id"] = request_id = x.downstream.runtime.request_ids.next()
        x.head.append((b"x-request-id", request_id))
    scheme = fields.get(b"x-forwarded-proto")
    if scheme is None:
        fields[b"x-forwarded-proto"] = b"http"
        x.head.append(PROTO_HTTP)
    else:
        x.scheme = scheme


def _enter_edge(x: Exchange, manager: HttpManager) -> None:
    """An edge believes the connection, and of the headers only what its trusted hops wrote."""
    peer = x.downstream.peer_host
    client = peer
    forwarded = x.header(b"x-forwarded-for")
    hops = tokens(forwarded or b"")
    drop = {b"x-forwarded-for", b"x-request-id", b"x-forwarded-client-cert"}
    trusted = manager.trusted_hops
    if trusted and hops:
        client = hops[-trusted] if len(hops) >= trusted else hops[0]
        x.remote_address = f"{client.decode('latin-1')}:0"
    else:
        drop.add(b"x-forwarded-proto")
    x.head = kept = [
        item for item in x.head if (low := item[0].lower()) not in drop and not low.startswith(b"x-envoy-")
    ]
    kept.append((b"x-forwarded-for", forwarded + b"," + peer if forwarded else peer))
    kept.append((b"x-envoy-external-address", client))
    x.fields = fold(kept)
