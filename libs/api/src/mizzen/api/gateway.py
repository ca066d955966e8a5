"""Gateway: what a proxy at the edge of the mesh listens for."""

from enum import StrEnum

from pydantic import Field

from mizzen.api.types import Bool, Model, ScopedHost, UInt32
from mizzen.api.types import Port as PortNumber


class Port(Model):
    """A port to listen on; for the protocols see `mizzen.api.protocol`."""

    number: PortNumber | None = None
    protocol: str = ""
    name: str = ""
    target_port: UInt32 | None = None
    """Deprecated, and without effect."""


class ServerTLSMode(StrEnum):
    """How TLS connections are treated."""

    PASSTHROUGH = "PASSTHROUGH"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    AUTO_PASSTHROUGH = "AUTO_PASSTHROUGH"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"
    OPTIONAL_MUTUAL = "OPTIONAL_MUTUAL"


class TLSProtocol(StrEnum):
    """A version of TLS."""

    TLS_AUTO = "TLS_AUTO"
    TLSV1_0 = "TLSV1_0"
    TLSV1_1 = "TLSV1_1"
    TLSV1_2 = "TLSV1_2"
    TLSV1_3 = "TLSV1_3"


class TLSCertificate(Model):
    """A certificate as files."""

    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""


class ServerTLSSettings(Model):
    """TLS of a server: certificates as files or as credentials (Secrets), and what is asked of clients."""

    https_redirect: Bool = False
    mode: ServerTLSMode = ServerTLSMode.PASSTHROUGH
    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    ca_crl: str = ""
    credential_name: str = ""
    credential_names: tuple[str, ...] = ()
    ca_cert_credential_name: str = ""
    tls_certificates: tuple[TLSCertificate, ...] = ()
    subject_alt_names: tuple[str, ...] = ()
    verify_certificate_spki: tuple[str, ...] = ()
    verify_certificate_hash: tuple[str, ...] = ()
    min_protocol_version: TLSProtocol = TLSProtocol.TLS_AUTO
    max_protocol_version: TLSProtocol = TLSProtocol.TLS_AUTO
    cipher_suites: tuple[str, ...] = ()
    insecure_skip_verify: Bool | None = None


class Server(Model):
    """A port, the hosts it serves, and its TLS. Hosts are `host` or `namespace/host`."""

    port: Port | None = None
    bind: str = ""
    hosts: tuple[ScopedHost, ...] = ()
    tls: ServerTLSSettings | None = None
    default_endpoint: str = ""
    name: str = ""


class Gateway(Model):
    """Servers of the router proxies that carry the selector's labels (all router proxies when it is empty)."""

    servers: tuple[Server, ...] = ()
    selector: dict[str, str] = Field(default_factory=dict)
