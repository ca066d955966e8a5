"""mesh.md 3.10: what a Kubernetes port speaks."""

import pytest

from mizzen.pilot.base.protocol import Protocol, parse, select

CASES = [
    # number, name, transport, appProtocol, expected
    (80, "http", "TCP", "", Protocol.HTTP),
    (80, "http-web", "TCP", "", Protocol.HTTP),
    (80, "HTTP2-api", "TCP", "", Protocol.HTTP2),
    (80, "grpc", "TCP", "", Protocol.GRPC),
    (80, "grpc-web", "TCP", "", Protocol.GRPC_WEB),
    (80, "grpc-web-x", "TCP", "", Protocol.GRPC_WEB),
    (80, "grpc-other", "TCP", "", Protocol.GRPC),
    (443, "https", "TCP", "", Protocol.HTTPS),
    (443, "tls-x", "TCP", "", Protocol.TLS),
    (9000, "tcp", "TCP", "", Protocol.TCP),
    (27018, "mongo", "TCP", "", Protocol.MONGO),
    (6379, "redis", "TCP", "", Protocol.REDIS),
    (3307, "mysql-db", "TCP", "", Protocol.MYSQL),
    (80, "", "TCP", "", Protocol.UNSUPPORTED),
    (80, "web", "TCP", "", Protocol.UNSUPPORTED),
    (80, "httpx", "TCP", "", Protocol.UNSUPPORTED),
    (25, "mail", "TCP", "", Protocol.TCP),
    (53, "", "TCP", "", Protocol.TCP),
    (3306, "db", "TCP", "", Protocol.TCP),
    (27017, "", "TCP", "", Protocol.TCP),
    (53, "http", "UDP", "http", Protocol.UDP),
    (80, "tcp", "TCP", "kubernetes.io/h2c", Protocol.HTTP2),
    (80, "tcp", "TCP", "kubernetes.io/ws", Protocol.HTTP),
    (80, "tcp", "TCP", "kubernetes.io/wss", Protocol.HTTPS),
    (80, "tcp", "TCP", "GRPC", Protocol.GRPC),
    (80, "http", "TCP", "example.com/odd", Protocol.HTTP),
]


@pytest.mark.parametrize(("number", "name", "transport", "app", "expected"), CASES)
def test_selection(number: int, name: str, transport: str, app: str, expected: Protocol) -> None:
    assert select(number, name, transport, app) is expected


def test_classes() -> None:
    http = {protocol for protocol in Protocol if protocol.is_http}
    assert http == {Protocol.HTTP, Protocol.HTTP2, Protocol.HTTP_PROXY, Protocol.GRPC, Protocol.GRPC_WEB}
    assert {protocol for protocol in Protocol if protocol.is_tls} == {Protocol.HTTPS, Protocol.TLS}
    assert not any(protocol.is_http and protocol.is_tcp for protocol in Protocol)
    assert parse("gRPC-Web") is Protocol.GRPC_WEB
