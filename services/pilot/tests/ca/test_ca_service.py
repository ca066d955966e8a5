"""The service as its clients see it: over TLS, with and without a certificate of their own."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from google.protobuf.struct_pb2 import Struct
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey

from mizzen.identity.callers.tokens import NotAuthenticated, TokenVerifier
from mizzen.identity.certificate import certificate_to_pem, certificates_from_pem, identity_of
from mizzen.identity.keys import PrivateKey, key_to_pem, new_key
from mizzen.identity.request import make_request
from mizzen.identity.spiffe import SpiffeId
from mizzen.pilot.ca.authority import Authority, self_signed
from mizzen.pilot.ca.review import TokenReviewer
from mizzen.pilot.ca.secure_port import SecurePort
from mizzen.pilot.ca.service import SERVICE, CertificateService
from mizzen.proto import ca_pb2
from mizzen.runtime.address import Address

REVIEWS = SpiffeId("cluster.local", "default", "reviews")
BANK = SpiffeId("cluster.local", "default", "bank")
HOUR = timedelta(hours=1)
ISSUER = ECKey.generate_key("P-256", {"kid": "one"})


def token(key: Any = ISSUER, algorithm: str = "ES256", **changed: Any) -> str:
    now = int(datetime.now(UTC).timestamp())
    claims = {"sub": "system:serviceaccount:default:reviews", "aud": ["istio-ca"], "exp": now + 3600, "iat": now}
    claims = {name: value for name, value in (claims | changed).items() if value is not None}
    return jwt.encode({"alg": algorithm, "kid": "one"}, claims, key, algorithms=[algorithm])


@dataclass
class Running:
    authority: Authority
    address: Address
    secure: SecurePort
    context: ssl.SSLContext

    async def create(self, csr: str, bearer: str = "", own: tuple[PrivateKey, str] | None = None, **fields: Any) -> Any:
        """Call the service, perhaps with a token, perhaps with a certificate of one's own."""
        key, chain = own or (None, None)
        credentials = grpc.ssl_channel_credentials(
            self.authority.bundle.encode(),
            key_to_pem(key).encode() if key else None,
            chain.encode() if chain else None,
        )
        metadata = (("authorization", f"Bearer {bearer}"),) if bearer else ()
        options = (("grpc.ssl_target_name_override", "pilot.mesh"),)
        async with grpc.aio.secure_channel(str(self.address), credentials, options) as channel:
            call = channel.unary_unary(
                f"/{SERVICE}/CreateCertificate",
                request_serializer=ca_pb2.IstioCertificateRequest.SerializeToString,
                response_deserializer=ca_pb2.IstioCertificateResponse.FromString,
            )
            request = ca_pb2.IstioCertificateRequest(csr=csr, **fields)
            return (await call(request, metadata=metadata, timeout=10)).cert_chain

    async def refusal(self, *arguments: Any, **named: Any) -> tuple[str, str]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.create(*arguments, **named)
        return caught.value.code().name, caught.value.details() or ""

    def own(self, identity: SpiffeId, authority: Authority | None = None, now: datetime | None = None) -> Any:
        """A certificate as one that was issued before."""
        key = new_key()
        leaf = (authority or self.authority).issue(key.public_key(), identity, HOUR, now or datetime.now(UTC))
        return key, certificate_to_pem(leaf)


@pytest.fixture
async def ca(tmp_path: Path) -> AsyncIterator[Running]:
    now = datetime.now(UTC)
    authority = self_signed(new_key(), "cluster.local", now)
    key = new_key()
    own = authority.issue(
        key.public_key(), SpiffeId("cluster.local", "istio-system", "pilot"), HOUR, now, ["pilot.mesh"]
    )
    (tmp_path / "pair.pem").write_text(key_to_pem(key) + certificate_to_pem(own))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=authority.bundle)
    context.load_cert_chain(tmp_path / "pair.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["h2"])
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    secure = SecurePort(lambda: Address("127.0.0.1", port), lambda: ("cluster.local",), lambda _: True)
    verifier = TokenVerifier(KeySet([ISSUER]), "cluster.local")
    service = CertificateService(
        lambda: authority, verifier, secure.peer, hosts={(REVIEWS.namespace, "mixer"): ("policy.mesh",)}
    )
    server.add_generic_rpc_handlers((service.handler(),))
    await server.start()
    await secure.start(Address("127.0.0.1", 0), context)
    try:
        yield Running(authority, secure.address, secure, context)
    finally:
        await secure.close()
        await server.stop(0)


@pytest.mark.parametrize(("account", "names"), [("mixer", ["policy.mesh"]), ("reviews", [])])
async def test_accounts_of_servers_have_dns_names_as_well(ca: Running, account: str, names: list[str]) -> None:
    """Those that the authority knows of, not those that a request for a certificate asks for."""
    wanted = make_request(new_key(), SpiffeId("cluster.local", "default", "mixer"))
    chain = await ca.create(wanted, token(sub=f"system:serviceaccount:default:{account}"))
    (leaf,) = certificates_from_pem(chain[0])
    assert identity_of(leaf) == SpiffeId("cluster.local", "default", account)
    found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert found.get_values_for_type(x509.DNSName) == names


async def test_who_has_a_token_gets_a_certificate_of_that_service_account(ca: Running) -> None:
    key = new_key()
    chain = await ca.create(make_request(key, REVIEWS), token())
    (leaf,) = certificates_from_pem(chain[0])
    assert identity_of(leaf) == REVIEWS
    assert leaf.public_key() == key.public_key()
    assert chain[-1] == ca.authority.bundle


async def test_what_a_request_claims_is_not_believed(ca: Running) -> None:
    chain = await ca.create(make_request(new_key(), BANK), token())
    assert identity_of(certificates_from_pem(chain[0])[0]) == REVIEWS


async def test_who_has_a_certificate_needs_no_token_to_renew_it(ca: Running) -> None:
    chain = await ca.create(make_request(new_key(), REVIEWS), own=ca.own(REVIEWS))
    assert identity_of(certificates_from_pem(chain[0])[0]) == REVIEWS


async def test_a_certificate_counts_for_more_than_a_token(ca: Running) -> None:
    chain = await ca.create(make_request(new_key(), BANK), token(), own=ca.own(BANK))
    assert identity_of(certificates_from_pem(chain[0])[0]) == BANK


@pytest.mark.parametrize(
    ("bearer", "reason"),
    [
        ("", "neither a client certificate nor a token"),
        ("nonsense", "the token is not good"),
        (token(exp=1), "the token is not good"),
        (token(exp=None), "the token is not good"),
        (token(aud=["other"]), "the token is not good"),
        (token(aud=None), "the token is not good"),
        (token(sub="reviews"), "not of the form"),
        (token(sub="system:serviceaccount:default:"), "no name of a service account"),
        (token(sub="system:serviceaccount:default:a:b"), "not of the form"),
        (token(ECKey.generate_key("P-256", {"kid": "one"})), "the token is not good"),
        (token(OctKey.generate_key(256), "HS256"), "the token is not good"),
    ],
)
async def test_nobody_else_gets_one(ca: Running, bearer: str, reason: str) -> None:
    code, details = await ca.refusal(make_request(new_key(), REVIEWS), bearer)
    assert code == "UNAUTHENTICATED"
    assert reason in details
    assert not bearer or bearer not in details


async def test_a_foreign_or_expired_certificate_is_refused_in_the_handshake(ca: Running) -> None:
    now = datetime.now(UTC)
    stranger = self_signed(new_key(), "cluster.local", now)
    for own in (ca.own(REVIEWS, stranger), ca.own(REVIEWS, now=now - 3 * HOUR)):
        code, _ = await ca.refusal(make_request(new_key(), REVIEWS), token(), own=own)
        assert code == "UNAVAILABLE"


async def test_bad_requests_are_told_what_is_wrong(ca: Running) -> None:
    csr = make_request(new_key(), REVIEWS)
    code, details = await ca.refusal("nonsense", token())
    assert code == "INVALID_ARGUMENT"
    assert "not a certificate request in PEM" in details
    for seconds in (-1, 91 * 24 * 3600, 2**62, -(2**62)):
        code, details = await ca.refusal(csr, token(), validity_duration=seconds)
        assert code == "INVALID_ARGUMENT"
        assert "between 1 s and 7776000 s" in details
    metadata = Struct()
    metadata.update({"ImpersonatedIdentity": str(BANK)})
    code, _ = await ca.refusal(csr, token(), metadata=metadata)
    assert code == "UNAUTHENTICATED"


async def test_a_token_of_any_length_is_not_even_read() -> None:
    verifier = TokenVerifier(KeySet([ISSUER]), "cluster.local")
    with pytest.raises(NotAuthenticated, match="more than 8192 characters"):
        await verifier.verify("x" * 9000, datetime.now(UTC))


async def test_the_api_server_is_not_asked_about_no_token_at_all() -> None:
    """It refuses the question itself, which reads like an outage."""
    client: Any = None
    with pytest.raises(NotAuthenticated, match="the token is empty"):
        await TokenReviewer(client, "cluster.local").verify("", datetime.now(UTC))


async def test_no_connection_is_lost_while_the_context_changes(ca: Running) -> None:
    async def change() -> None:
        while True:
            ca.secure.use(ca.context)
            await asyncio.sleep(0)

    changing = asyncio.create_task(change())
    try:
        requests = (ca.create(make_request(new_key(), REVIEWS), own=ca.own(REVIEWS)) for _ in range(20))
        assert len(await asyncio.gather(*requests)) == 20
    finally:
        changing.cancel()


async def test_who_leaves_during_the_handshake_takes_nothing_along(ca: Running) -> None:
    for sent in (b"", b"nonsense"):
        _, writer = await asyncio.open_connection(ca.address.host, ca.address.port)
        writer.write(sent)
        writer.close()
        await writer.wait_closed()
    assert await ca.create(make_request(new_key(), REVIEWS), token())
    async with asyncio.timeout(10):
        while ca.secure._connections:  # noqa: ASYNC110 - tasks of the port
            await asyncio.sleep(0.01)


async def test_only_what_comes_from_this_port_has_a_peer() -> None:
    """Another address may have a port of the same number, and is nobody."""
    secure = SecurePort(lambda: Address("127.0.0.1", 1), lambda: ("cluster.local",), lambda _: True)
    secure._peers[4711] = REVIEWS
    assert secure.peer("ipv4:127.0.0.1:4711") == REVIEWS
    for address in ("ipv4:127.0.0.2:4711", "ipv6:[::1]:4711", "unix:/4711", "ipv4:127.0.0.1:4712"):
        assert secure.peer(address) is None
        assert not secure.came_through(address)
