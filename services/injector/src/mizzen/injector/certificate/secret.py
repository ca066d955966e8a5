"""The Secret's data: the names of `kubernetes.io/tls`, and `next.crt` and `next.key` during a renewal."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mizzen.injector.certificate.issue import Pair
from mizzen.injector.certificate.keeping import Held

ROOTS = "ca.crt"
SERVING = ("tls.crt", "tls.key")
COMING = ("next.crt", "next.key")


def read_secret(item: Mapping[str, Any]) -> Held:
    """What a Secret holds; what cannot be read there is as good as nothing."""
    data = item.get("data") or {}
    return Held(_pair(data, SERVING), _pair(data, COMING), _roots(_decoded(data, ROOTS)))


def secret_data(held: Held) -> dict[str, str]:
    """The same as a Secret's `data`."""
    files = {ROOTS: held.bundle}
    for names, pair in ((SERVING, held.serving), (COMING, held.coming)):
        if pair is not None:
            files |= dict(zip(names, (pair.chain, pair.key), strict=True))
    return {name: base64.b64encode(content).decode() for name, content in files.items()}


def _pair(data: Mapping[str, Any], names: tuple[str, str]) -> Pair | None:
    chain, key = (_decoded(data, name) for name in names)
    return Pair(chain, key) if chain and key else None


def _decoded(data: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(data.get(name) or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        return b""


def _roots(text: bytes) -> tuple[bytes, ...]:
    try:
        found = x509.load_pem_x509_certificates(text)
    except ValueError:
        return ()
    return tuple(certificate.public_bytes(Encoding.PEM) for certificate in found)
