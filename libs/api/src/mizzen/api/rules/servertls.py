"""Server TLS settings, of Gateways and of Sidecar ingress."""

from collections.abc import Iterator

from mizzen.api.gateway import ServerTLSMode, ServerTLSSettings, TLSProtocol
from mizzen.api.problem import Path
from mizzen.api.rules import Finding, error, warning

CIPHERS = frozenset(
    {
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA",
        "AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA", "DES-CBC3-SHA", "ALL", "",
    }
)  # fmt: skip
OLD_VERSIONS = (TLSProtocol.TLSV1_0, TLSProtocol.TLSV1_1)
PASSTHROUGH = (ServerTLSMode.PASSTHROUGH, ServerTLSMode.AUTO_PASSTHROUGH)
MUTUAL = (ServerTLSMode.MUTUAL, ServerTLSMode.OPTIONAL_MUTUAL)
SOURCES = ("server_certificate", "credential_name", "credential_names", "tls_certificates")
MATERIAL = {
    "serverCertificate": "server_certificate",
    "privateKey": "private_key",
    "caCertificates": "ca_certificates",
    "tlsCertificates": "tls_certificates",
    "credentialName": "credential_name",
    "credentialNames": "credential_names",
}


def check_server_tls(tls: ServerTLSSettings, at: Path) -> Iterator[Finding]:
    """All rules of one tls block."""
    yield from _check_ciphers(tls, at)
    present = [name for name, attribute in MATERIAL.items() if getattr(tls, attribute)]
    if tls.mode is ServerTLSMode.ISTIO_MUTUAL:
        for name in present:
            yield error((*at, name), "must be left out: mode ISTIO_MUTUAL uses the workload's own certificate")
        return
    if tls.mode in PASSTHROUGH:
        for name in present:
            yield warning((*at, name), f"has no effect: mode {tls.mode} does not open the TLS connection")
    if sum(bool(getattr(tls, name)) for name in SOURCES) > 1:
        yield error(
            at, "takes one of credentialName, credentialNames, serverCertificate with privateKey, tlsCertificates"
        )
    if tls.mode not in PASSTHROUGH and not tls.credential_name and not tls.credential_names:
        yield from _check_files(tls, at)
    if tls.ca_crl and tls.credential_name:
        yield error((*at, "caCrl"), "cannot stand beside credentialName: put the list into the credential")
    if tls.ca_crl and tls.mode is ServerTLSMode.SIMPLE:
        yield error((*at, "caCrl"), "has no meaning for mode SIMPLE, which asks clients for no certificate")


def _check_files(tls: ServerTLSSettings, at: Path) -> Iterator[Finding]:
    if tls.mode in MUTUAL and not tls.ca_certificates and not tls.ca_cert_credential_name:
        yield error((*at, "caCertificates"), f"is required for mode {tls.mode} (or credentialName)")
    if len(tls.tls_certificates) > 2:
        yield warning((*at, "tlsCertificates"), "may have 2 certificates, one RSA and one ECDSA")
    certificates: list[tuple[Path, str, str]] = [
        ((*at, "tlsCertificates", index), certificate.server_certificate, certificate.private_key)
        for index, certificate in enumerate(tls.tls_certificates)
    ] or [(at, tls.server_certificate, tls.private_key)]
    for path, certificate, key in certificates:
        if not certificate:
            yield error((*path, "serverCertificate"), f"is required for mode {tls.mode} (or credentialName)")
        if not key:
            yield error((*path, "privateKey"), f"is required for mode {tls.mode} (or credentialName)")


def _check_ciphers(tls: ServerTLSSettings, at: Path) -> Iterator[Finding]:
    if tls.min_protocol_version in OLD_VERSIONS and not tls.cipher_suites:
        yield warning((*at, "minProtocolVersion"), f"{tls.min_protocol_version} needs cipherSuites that it can use")
    for index, cipher in enumerate(tls.cipher_suites):
        if cipher in tls.cipher_suites[:index]:
            yield warning((*at, "cipherSuites", index), f"{cipher!r} stands twice")
        elif cipher[:1].isalnum() and cipher not in CIPHERS:
            yield warning((*at, "cipherSuites", index), f"{cipher!r} is not a cipher of Envoy's; it is ignored")
