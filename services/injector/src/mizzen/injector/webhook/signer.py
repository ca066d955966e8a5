"""The mesh's authority as signer of the webhook's certificate: the same call as of any workload, with a token.

Which names are in the certificate, the authority decides by the ServiceAccount (`--custom-dns-names` of Pilot).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mizzen.identity.certificate import InvalidCertificate
from mizzen.identity.credentials import Credentials
from mizzen.identity.keeping.keeper import AskFailed
from mizzen.identity.keeping.service import CertificateService
from mizzen.identity.keys import new_key
from mizzen.identity.request import make_request
from mizzen.identity.spiffe import SpiffeId
from mizzen.injector.certificate.issue import Issued, Pair
from mizzen.injector.webhook.authority import AuthoritySettings
from mizzen.injector.webhook.keeper import NotSigned

_WHOEVER = SpiffeId("cluster.local", "istio-system", "mizzen-injector")
"""For logs of the authority, which goes by the token."""


class MeshSigner:
    """Implements `keeper.Signer`."""

    def __init__(self, settings: AuthoritySettings) -> None:
        self._settings = settings

    def roots(self) -> tuple[bytes, ...]:
        """As the file says now; none where it is not there yet, or is nothing of the kind."""
        try:
            found = x509.load_pem_x509_certificates(self._settings.roots.read_bytes())
        except (OSError, ValueError):
            return ()
        return tuple(each.public_bytes(Encoding.PEM) for each in found)

    async def sign(self, hosts: Sequence[str], life: timedelta) -> Issued:
        """Raises NotSigned, also for a certificate that lacks one of the names."""
        settings, key = self._settings, new_key()
        service = CertificateService(
            str(settings.address), settings.roots, settings.token, life_seconds=int(life.total_seconds())
        )
        try:
            received = Credentials.received(key, await service.sign(make_request(key, _WHOEVER), None))
        except (AskFailed, InvalidCertificate) as error:
            raise NotSigned(str(error)) from error
        lacking = sorted(set(hosts) - set(_dns_names(received.leaf)))
        if lacking:
            raise NotSigned(f"{settings.address} certifies {received.identity} without the names {', '.join(lacking)}")
        roots = tuple(root.public_bytes(Encoding.PEM) for root in received.roots)
        return Issued(Pair(received.chain_pem.encode(), received.key_pem.encode()), roots)


def _dns_names(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)
