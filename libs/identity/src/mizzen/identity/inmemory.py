"""PEM texts into a context of the library, which reads files only: a key belongs on no disk."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager


def load_pair(context: ssl.SSLContext, chain: str, key: str) -> None:
    """A certificate with its intermediates, and its key. Raises ssl.SSLError for what is no pair, or is encrypted."""
    with _file(chain.rstrip() + "\n" + key) as path:
        context.load_cert_chain(path, password=_no_password)


def load_roots(context: ssl.SSLContext, pem: str) -> None:
    """Certificates to trust and revocation lists, in any order. Raises ssl.SSLError for what has neither."""
    with _file(pem) as path:
        context.load_verify_locations(path)


def reason_of(error: ssl.SSLError) -> str:
    """What was wrong, in small letters."""
    return (error.reason or str(error)).lower().replace("_", " ")


def _no_password() -> str:
    """Without it, the library would ask at the terminal."""
    return ""


@contextmanager
def _file(text: str) -> Iterator[str]:
    """The path of a file that is in memory alone."""
    descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        data = text.encode()
        while data:
            data = data[os.write(descriptor, data) :]
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
