"""What is spoken on a port, and how that is found out."""

from __future__ import annotations

from enum import StrEnum


class Protocol(StrEnum):
    """Istio's protocol names; UNSUPPORTED means unknown, so the proxy sniffs."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    HTTP_PROXY = "HTTP_PROXY"
    GRPC = "GRPC"
    GRPC_WEB = "GRPC-Web"
    HTTPS = "HTTPS"
    TLS = "TLS"
    TCP = "TCP"
    UDP = "UDP"
    MONGO = "Mongo"
    REDIS = "Redis"
    MYSQL = "MySQL"
    UNSUPPORTED = "UnsupportedProtocol"

    @property
    def is_http(self) -> bool:
        return self in _HTTP

    @property
    def is_http2(self) -> bool:
        return self in _HTTP2

    @property
    def is_tls(self) -> bool:
        return self in _TLS

    @property
    def is_tcp(self) -> bool:
        return self in _TCP

    @property
    def server_speaks_first(self) -> bool:
        """Sniffing such a port would wait for bytes that the client never sends."""
        return self in _SERVER_FIRST


_HTTP2 = frozenset({Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB})
_HTTP = _HTTP2 | {Protocol.HTTP, Protocol.HTTP_PROXY}
_TLS = frozenset({Protocol.HTTPS, Protocol.TLS})
_SERVER_FIRST = frozenset({Protocol.MONGO, Protocol.MYSQL})
_TCP = _TLS | {Protocol.TCP, Protocol.MONGO, Protocol.REDIS, Protocol.MYSQL}

_BY_NAME = {
    "tcp": Protocol.TCP,
    "udp": Protocol.UDP,
    "grpc": Protocol.GRPC,
    "grpc-web": Protocol.GRPC_WEB,
    "http": Protocol.HTTP,
    "http_proxy": Protocol.HTTP_PROXY,
    "http2": Protocol.HTTP2,
    "https": Protocol.HTTPS,
    "tls": Protocol.TLS,
    "mongo": Protocol.MONGO,
    "redis": Protocol.REDIS,
    "mysql": Protocol.MYSQL,
}
_APP_PROTOCOLS = {
    "kubernetes.io/h2c": Protocol.HTTP2,
    "kubernetes.io/ws": Protocol.HTTP,
    "kubernetes.io/wss": Protocol.HTTPS,
}
_TCP_PORTS = frozenset({25, 53, 3306, 27017})
"""Well-known ports of protocols where the server speaks first."""


def parse(name: str) -> Protocol:
    """The protocol called `name` in a ServiceEntry or Gateway, in any case; UNSUPPORTED when there is none."""
    return _BY_NAME.get(name.lower(), Protocol.UNSUPPORTED)


def select(number: int, name: str, transport: str = "TCP", app_protocol: str | None = None) -> Protocol:
    """The protocol of a Kubernetes service port: UDP, then appProtocol, then the port's name, then its number."""
    if transport == "UDP":
        return Protocol.UDP
    if app_protocol:
        stated = _APP_PROTOCOLS.get(app_protocol.lower()) or parse(app_protocol)
        if stated is not Protocol.UNSUPPORTED:
            return stated
    lower = name.lower()
    named = Protocol.GRPC_WEB if lower.startswith("grpc-web") else parse(lower.partition("-")[0])
    if named is Protocol.UNSUPPORTED and number in _TCP_PORTS:
        return Protocol.TCP
    return named
