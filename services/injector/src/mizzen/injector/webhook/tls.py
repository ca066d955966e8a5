"""The server's TLS context, whose certificate changes while it serves."""

from __future__ import annotations

import logging
import os
import ssl

from cryptography import x509

from mizzen.injector.certificate.issue import Pair

log = logging.getLogger(__name__)


class ServedCertificate:
    """A context that shows the last pair that was taken, on connections from then on."""

    def __init__(self) -> None:
        self.context = _context()
        self._pair: Pair | None = None

    @property
    def there(self) -> bool:
        """Whether there is a certificate to serve."""
        return self._pair is not None

    @property
    def expires(self) -> float:
        """When it ends, in seconds since 1970; 0 where there is none."""
        if self._pair is None:
            return 0.0
        return x509.load_pem_x509_certificate(self._pair.chain).not_valid_after_utc.timestamp()

    def take(self, pair: Pair) -> None:
        """Serve this pair; raises ssl.SSLError or OSError for one of no use, and the last one stays."""
        if pair == self._pair:
            return
        _load(_context(), pair)  # a pair that does not fit would break the context in use
        _load(self.context, pair)
        log.info("Serving %s certificate", "another" if self.there else "a")
        self._pair = pair


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _load(context: ssl.SSLContext, pair: Pair) -> None:
    """The ssl module reads files alone. This one is in memory: a key belongs on no disk, and the root is read-only."""
    file = os.memfd_create("certificate")
    try:
        with open(file, "wb", closefd=False) as writer:
            writer.write(pair.chain + b"\n" + pair.key)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
