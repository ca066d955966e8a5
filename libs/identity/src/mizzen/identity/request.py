"""Certificate signing requests (PKCS #10, RFC 2986)."""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from mizzen.identity.keys import InvalidKey, PrivateKey, PublicKey, check_public_key
from mizzen.identity.spiffe import SpiffeId

MAX_CHARACTERS: Final = 16 * 1024
"""Of a request in PEM; one with RSA of 8192 bits has 4 KiB."""


class InvalidRequest(ValueError):
    """A request that cannot be granted; the message says why."""


def make_request(key: PrivateKey, identity: SpiffeId) -> str:
    """In PEM. The identity in it is for logs: a CA takes the one that it has authenticated."""
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(identity))])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def requested_key(pem: str) -> PublicKey:
    """The public key that is to be certified, whose owner has signed the request; raises InvalidRequest.

    Whatever else the request claims is not read.
    """
    if len(pem) > MAX_CHARACTERS:
        raise InvalidRequest(f"a certificate request has at most {MAX_CHARACTERS} characters")
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        if not request.is_signature_valid:
            raise InvalidRequest("the certificate request is not signed by the key that it names")
        return check_public_key(request.public_key())
    except InvalidKey as error:
        raise InvalidRequest(str(error)) from error
    except InvalidRequest:
        raise
    except Exception as error:  # the parser raises several kinds for what is malformed
        raise InvalidRequest(f"not a certificate request in PEM: {error}") from error
