"""A small authority for tests: a root, certificates of it, and the service by which Pilot gives them out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from mizzen.identity.certificate import certificate_to_pem
from mizzen.identity.credentials import Credentials
from mizzen.identity.keeping.own import Proof
from mizzen.identity.keys import key_to_pem, new_key
from mizzen.identity.request import requested_key
from mizzen.identity.spiffe import SpiffeId
from mizzen.proto import ca_pb2
from mizzen.runtime.address import Address

HOST = "istio-policy.istio-system.svc.cluster.local"
MIXER = SpiffeId("cluster.local", "istio-system", "mizzen-mixer")
REVIEWS = SpiffeId("cluster.local", "default", "reviews")
HOUR = timedelta(hours=1)


class Authority:
    """A root."""

    def __init__(self, name: str = "mesh") -> None:
        self.tokens: list[str] = []
        """Of those who asked for certificates; empty where none was shown, as with a renewal."""
        self._key = new_key()
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, name)])
        root = self._sign(self._key.public_key(), self._name, x509.BasicConstraints(ca=True, path_length=None), HOUR)
        self.roots = certificate_to_pem(root)

    def proof(self, *identities: SpiffeId, hosts: tuple[str, ...] = (), roots: str = "") -> Proof:
        """A certificate of these identities; trusted are these roots, or our own."""
        key = new_key()
        leaf = self._leaf(key.public_key(), [*map(_uri, identities), *map(x509.DNSName, hosts)])
        return Proof(Credentials(key, leaf, (), (), identities[0]), roots or self.roots)

    def revoking(self, *certificates: x509.Certificate) -> str:
        """A list of these, PEM."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._name).last_update(now)
        builder = builder.next_update(now + HOUR)
        for each in certificates:
            revoked = x509.RevokedCertificateBuilder().serial_number(each.serial_number).revocation_date(now)
            builder = builder.add_revoked_certificate(revoked.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    @asynccontextmanager
    async def serving(self, life: timedelta = HOUR) -> AsyncIterator[Address]:
        """Give certificates of Mixer to everybody, good for so long."""

        async def create(request: Any, context: Any) -> Any:
            metadata = dict(context.invocation_metadata())
            self.tokens.append(metadata.get("authorization", "").removeprefix("Bearer "))
            leaf = self._leaf(requested_key(request.csr), [_uri(MIXER), x509.DNSName(HOST)], life)
            return ca_pb2.IstioCertificateResponse(cert_chain=[certificate_to_pem(leaf), self.roots])

        key = new_key()
        own = self._leaf(key.public_key(), [x509.IPAddress(ip_address("127.0.0.1"))])
        server = grpc.aio.server()
        methods = {
            "CreateCertificate": grpc.unary_unary_rpc_method_handler(
                create,
                request_deserializer=ca_pb2.IstioCertificateRequest.FromString,
                response_serializer=ca_pb2.IstioCertificateResponse.SerializeToString,
            )
        }
        service = "istio.v1.auth.IstioCertificateService"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
        pair = (key_to_pem(key).encode(), certificate_to_pem(own).encode())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials((pair,)))
        await server.start()
        yield Address("127.0.0.1", port)
        await server.stop(0)

    def _leaf(self, key: Any, names: Sequence[x509.GeneralName], life: timedelta = HOUR) -> x509.Certificate:
        return self._sign(key, x509.Name([]), x509.SubjectAlternativeName(names), life)

    def _sign(self, key: Any, subject: x509.Name, extension: x509.ExtensionType, life: timedelta) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + life)
            .add_extension(extension, critical=True)
            .sign(self._key, hashes.SHA256())
        )


def _uri(identity: SpiffeId) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(str(identity))
