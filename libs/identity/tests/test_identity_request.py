import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from mizzen.identity.keys import InvalidKey, KeyType, key_from_pem, key_to_pem, new_key
from mizzen.identity.request import MAX_CHARACTERS, InvalidRequest, make_request, requested_key
from mizzen.identity.spiffe import SpiffeId

REVIEWS = SpiffeId("cluster.local", "default", "reviews")


def request_of(key: object) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM).decode()  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_a_request_carries_the_key(kind: KeyType) -> None:
    key = new_key(kind)
    assert requested_key(make_request(key, REVIEWS)) == key.public_key()
    assert key_from_pem(key_to_pem(key)).public_key() == key.public_key()


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (rsa.generate_private_key(public_exponent=65537, key_size=1024), "1024 bits is too short"),
        (ec.generate_private_key(ec.SECP521R1()), "secp521r1 is not supported"),
        (ed25519.Ed25519PrivateKey.generate(), "is not supported: ECDSA and RSA are"),
    ],
)
def test_weak_and_foreign_keys_are_refused(key: object, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        requested_key(request_of(key))


def test_a_request_that_another_key_signed_is_refused() -> None:
    one, other = (
        x509.load_pem_x509_csr(make_request(new_key(), REVIEWS).encode()).public_bytes(Encoding.DER) for _ in range(2)
    )
    forged = one[: -len(one) // 4] + other[-len(one) // 4 :]
    pem = "-----BEGIN CERTIFICATE REQUEST-----\n"
    pem += base64.encodebytes(forged).decode() + "-----END CERTIFICATE REQUEST-----\n"
    with pytest.raises(InvalidRequest):
        requested_key(pem)


def test_a_flood_is_not_parsed() -> None:
    with pytest.raises(InvalidRequest, match="at most"):
        requested_key("-" * (MAX_CHARACTERS + 1))


@given(st.text(max_size=200))
def test_nonsense_raises_nothing_but_its_own_error(text: str) -> None:
    with pytest.raises(InvalidRequest):
        requested_key(text)
    with pytest.raises(InvalidKey):
        key_from_pem(text)
