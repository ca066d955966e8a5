"""The webhook's certificate from an authority that speaks Istio's service, over TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mizzen.identity.request import requested_key
from mizzen.injector.certificate.keeping import Held, Wanted, is_due, next_content
from mizzen.injector.webhook.authority import AuthoritySettings
from mizzen.injector.webhook.keeper import NotSigned
from mizzen.injector.webhook.signer import MeshSigner
from mizzen.proto import ca_pb2
from mizzen.runtime.address import Address

HOSTS = ("injector.mesh.svc", "injector.mesh")
NAME = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "mesh")])
DAY = timedelta(days=1)


class Mesh:
    """An authority with one root; which names it certifies is its own affair."""

    def __init__(self) -> None:
        self.hosts: Sequence[str] = HOSTS
        self.tokens: list[str] = []
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._root = self._sign(self._key.public_key(), NAME, [], authority=True)

    @property
    def root(self) -> str:
        return self._root.public_bytes(Encoding.PEM).decode()

    def pair(self, *hosts: str) -> tuple[bytes, bytes]:
        """Key and certificate of a server."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts]
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return private, self._sign(key.public_key(), x509.Name([]), names).public_bytes(Encoding.PEM)

    async def create(self, request: Any, context: Any) -> Any:
        self.tokens += [value for name, value in context.invocation_metadata() if name == "authorization"]
        if request.validity_duration > 90 * 24 * 3600:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "too long")
        uri = x509.UniformResourceIdentifier("spiffe://cluster.local/ns/mesh/sa/injector")
        names = [uri, *(x509.DNSName(host) for host in self.hosts)]
        leaf = self._sign(requested_key(request.csr), x509.Name([]), names)
        chain = [each.public_bytes(Encoding.PEM).decode() for each in (leaf, self._root)]
        return ca_pb2.IstioCertificateResponse(cert_chain=chain)

    def _sign(
        self, key: Any, subject: x509.Name, names: Sequence[x509.GeneralName], *, authority: bool = False
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(NAME)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + 90 * DAY)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
        return builder.sign(self._key, hashes.SHA256())


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[tuple[Mesh, AuthoritySettings]]:
    mesh = Mesh()
    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(
        mesh.create,
        request_deserializer=ca_pb2.IstioCertificateRequest.FromString,
        response_serializer=ca_pb2.IstioCertificateResponse.SerializeToString,
    )
    handler = grpc.method_handlers_generic_handler(
        "istio.v1.auth.IstioCertificateService", {"CreateCertificate": method}
    )
    server.add_generic_rpc_handlers((handler,))
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([mesh.pair("localhost")]))
    await server.start()
    (tmp_path / "root-cert.pem").write_text(mesh.root)
    (tmp_path / "token").write_text("injector's")
    yield mesh, AuthoritySettings(Address("localhost", port), tmp_path / "root-cert.pem", tmp_path / "token")
    await server.stop(0)


async def test_it_is_a_certificate_as_the_secret_should_hold(mesh: tuple[Mesh, AuthoritySettings]) -> None:
    authority, settings = mesh
    signer, now = MeshSigner(settings), datetime.now(UTC)
    issued = await signer.sign(HOSTS, 90 * DAY)
    assert authority.tokens == ["Bearer injector's"]
    assert issued.roots == signer.roots() == (authority.root.encode(),)
    wanted = Wanted(HOSTS, 90 * DAY, signer.roots())
    held = next_content(Held(), wanted, now, known=False, issued=issued)
    assert held.serving == issued.pair
    assert not is_due(held, wanted, now)


async def test_what_is_of_no_use_is_told(mesh: tuple[Mesh, AuthoritySettings], tmp_path: Path) -> None:
    authority, settings = mesh
    signer = MeshSigner(settings)
    with pytest.raises(NotSigned, match="INVALID_ARGUMENT: too long"):
        await signer.sign(HOSTS, 91 * DAY)
    authority.hosts = HOSTS[:1]
    with pytest.raises(NotSigned, match=r"/sa/injector without the names injector\.mesh$"):
        await signer.sign(HOSTS, DAY)
    authority.hosts = ()
    with pytest.raises(NotSigned, match=r"without the names injector\.mesh, injector\.mesh\.svc$"):
        await signer.sign(HOSTS, DAY)
    settings.token.unlink()
    with pytest.raises(NotSigned, match="cannot be read"):
        await signer.sign(HOSTS, DAY)
    settings.token.write_text("injector's")
    settings.roots.write_text(Mesh().root)  # who is not known by them is told nothing
    seen = len(authority.tokens)
    with pytest.raises(NotSigned, match="UNAVAILABLE"):
        await signer.sign(HOSTS, DAY)
    assert len(authority.tokens) == seen
    for text in ("", "nonsense"):
        settings.roots.write_text(text)
        assert signer.roots() == ()
    settings.roots.unlink()
    assert signer.roots() == ()
