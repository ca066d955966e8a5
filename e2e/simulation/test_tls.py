"""TLS of gateways through both data planes, which are told the same."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from hashlib import sha256
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from simulation.cases.tls import CASES, INNER, Server, servers
from simulation.harness.echo import Echo
from simulation.harness.tls import Say, envoy_gateway, mizzen_gateway
from support.certificates import Authority


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of them."""
    folder = tmp_path_factory.mktemp("certificates")
    authority, stranger = Authority(folder, "root"), Authority(folder, "stranger-root")
    authority.issue("shop.example", into="shop")
    authority.issue("*.bank.example", into="bank")
    authority.issue("inner.example", into="inner")
    authority.issue("client.example", "spiffe://shop/client", into="client")
    authority.issue("ended.example", into="ended", days=-1)
    stranger.issue("client.example", into="stranger")
    other, _ = authority.issue("other.example", into="other")
    authority.revoke(other, folder / "crl.pem")
    return folder


@pytest.fixture(scope="module")
def inner(certificates: Path) -> Iterator[dict[str, int]]:
    """A server behind the gateway that ends TLS itself."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "inner.crt", certificates / "inner.key")
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield {INNER: server.server_port}
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def told(certificates: Path) -> tuple[Server, ...]:
    client = ssl.PEM_cert_to_DER_cert((certificates / "client.crt").read_text())
    return servers(certificates, sha256(client).hexdigest())


def judge(say: Say) -> None:
    """Raise AssertionError with all clients that fare otherwise."""
    assert {case.name: say(case.hello) for case in CASES} == {case.name: case.expected for case in CASES}


def test_envoy_serves_as_istio_does(
    told: tuple[Server, ...], inner: dict[str, int], certificates: Path, tmp_path: Path
) -> None:
    with envoy_gateway(told, inner, certificates, tmp_path) as say:
        judge(say)


def test_mizzen_serves_as_istio_does(told: tuple[Server, ...], inner: dict[str, int], certificates: Path) -> None:
    with mizzen_gateway(told, inner, certificates) as say:
        judge(say)
