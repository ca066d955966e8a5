"""TLS contexts of clients, from certificates as bytes."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM texts; empty ones are not given."""

    authority: bytes = b""
    """Whom to believe; the system's authorities when empty."""
    certificate: bytes = b""
    key: bytes = field(default=b"", repr=False)
    verify: bool = True
    """False takes any server for the right one."""


class Contexts:
    """The TLS context of the last certificates, made anew when they are others: connections are reused by context."""

    def __init__(self) -> None:
        self._last: Certificates | None = None
        self._context: ssl.SSLContext | None = None

    def get(self, certificates: Certificates) -> ssl.SSLContext:
        """A client's context; raises OSError (ssl.SSLError among it) or ValueError for what are no certificates."""
        if self._context is None or certificates != self._last:
            self._context = _context(certificates)
            self._last = certificates
        return self._context


def _context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=certificates.authority.decode("ascii") or None)
    # Python 3.13 demands extensions that the authorities of many clusters lack.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if certificates.certificate:
        # It takes files alone; this one is for its owner to read, and gone at once.
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificates.certificate + b"\n" + certificates.key)
            file.flush()
            context.load_cert_chain(file.name)
    if not certificates.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
