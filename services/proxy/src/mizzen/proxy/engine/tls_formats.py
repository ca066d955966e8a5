"""What access logs say of a client's TLS: Envoy's `%DOWNSTREAM_TLS_...%`, `%DOWNSTREAM_PEER_...%`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeAlias

from mizzen.proxy.engine.peer import Peer, TlsFacts
from mizzen.proxy.engine.request import Record

_Operator: TypeAlias = Callable[[Record], str | None]


def _of_tls(read: Callable[[TlsFacts], str]) -> _Operator:
    return lambda record: (read(record.tls) or None) if record.tls is not None else None


def _of_peer(read: Callable[[Peer], str]) -> _Operator:
    return _of_tls(lambda tls: read(tls.peer) if tls.peer is not None else "")


def _names(kind: str) -> _Operator:
    return _of_peer(lambda peer: ",".join(peer.names_of(kind)))


def _moment(unix: int) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


TLS_OPERATORS: Final[dict[str, _Operator]] = {
    "DOWNSTREAM_TLS_VERSION": _of_tls(lambda tls: tls.version),
    "DOWNSTREAM_TLS_CIPHER": _of_tls(lambda tls: tls.cipher),
    "DOWNSTREAM_TLS_SESSION_ID": _of_tls(lambda tls: tls.session_id),
    "DOWNSTREAM_LOCAL_URI_SAN": _of_tls(lambda tls: tls.own),
    "DOWNSTREAM_PEER_URI_SAN": _names("URI"),
    "DOWNSTREAM_PEER_DNS_SAN": _names("DNS"),
    "DOWNSTREAM_PEER_IP_SAN": _names("IP Address"),
    "DOWNSTREAM_PEER_EMAIL_SAN": _names("email"),
    "DOWNSTREAM_PEER_SUBJECT": _of_peer(lambda peer: peer.subject),
    "DOWNSTREAM_PEER_ISSUER": _of_peer(lambda peer: peer.issuer),
    "DOWNSTREAM_PEER_SERIAL": _of_peer(lambda peer: peer.serial),
    "DOWNSTREAM_PEER_FINGERPRINT_256": _of_peer(lambda peer: peer.digest),
    "DOWNSTREAM_PEER_FINGERPRINT_1": _of_peer(lambda peer: peer.digest_1),
    "DOWNSTREAM_PEER_CERT": _of_peer(lambda peer: peer.quoted_pem),
    "DOWNSTREAM_PEER_CERT_V_START": _of_peer(lambda peer: _moment(peer.begins)),
    "DOWNSTREAM_PEER_CERT_V_END": _of_peer(lambda peer: _moment(peer.ends)),
    "DOWNSTREAM_TRANSPORT_FAILURE_REASON": lambda record: record.downstream_transport_failure_reason or None,
}
"""By name. %REQUESTED_SERVER_NAME% is said in plain text too, and is with the others."""
