"""Private keys of workloads and authorities."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
KeyType: TypeAlias = Literal["ecdsa", "rsa"]
MIN_RSA_BITS: Final = 2048
CURVES: Final = ("secp256r1", "secp384r1")


class InvalidKey(ValueError):
    """A key that is not to be used; the message says why."""


def new_key(kind: KeyType = "ecdsa") -> PrivateKey:
    """ECDSA on P-256, or RSA of 2048 bits."""
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=MIN_RSA_BITS)
    return ec.generate_private_key(ec.SECP256R1())


def key_to_pem(key: PrivateKey) -> str:
    """Unencrypted PKCS #8: the file's mode protects it."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()


def key_from_pem(pem: str) -> PrivateKey:
    """Of PKCS #8, PKCS #1 or SEC 1; raises InvalidKey."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError) as error:  # TypeError: it is encrypted
        raise InvalidKey(f"not an unencrypted private key in PEM: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise InvalidKey(f"{type(key).__name__} is not supported: ECDSA and RSA are")
    check_public_key(key.public_key())
    return key


def check_public_key(key: object) -> PublicKey:
    """The same key when it is strong enough to be certified; raises InvalidKey."""
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < MIN_RSA_BITS:
            raise InvalidKey(f"an RSA key of {key.key_size} bits is too short: {MIN_RSA_BITS} or more")
        return key
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in CURVES:
            raise InvalidKey(f"curve {key.curve.name} is not supported: {', '.join(CURVES)} are")
        return key
    raise InvalidKey(f"{type(key).__name__} is not supported: ECDSA and RSA are")
