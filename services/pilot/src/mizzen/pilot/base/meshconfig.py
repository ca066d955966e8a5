"""Settings of the whole mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from mizzen.pilot.base.extauthz import ExtAuthz

MIXER_TLS: Final = "15004"
"""The port of Mixer that takes mutual TLS alone, since Istio 1.0 (`grpc-mixer-mtls`)."""
PathNormalization: TypeAlias = Literal["DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"]
"""Each does what the one before it does, and more; DEFAULT is BASE."""


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """The part of Istio's MeshConfig that generation reads, with Istio's defaults; durations are seconds."""

    access_log_file: str = ""
    """Where proxies log requests, for instance /dev/stdout; empty switches the log off."""
    access_log_format: str = ""
    """Envoy's format operators; empty means Istio's default format. With JSON: a JSON object of strings."""
    access_log_encoding: Literal["TEXT", "JSON"] = "TEXT"
    outbound_traffic_policy: Literal["ALLOW_ANY", "REGISTRY_ONLY"] = "ALLOW_ANY"
    connect_timeout: float = 10.0
    protocol_detection_timeout: float = 0.0
    dns_refresh_rate: float = 60.0
    proxy_listen_port: int = 15001
    proxy_inbound_listen_port: int = 15006
    proxy_http_port: int = 0
    mixer_check_server: str = ""
    """`host:port` of the service that is asked before requests; empty: nobody is. Port 15004 is for mutual TLS."""
    mixer_report_server: str = ""
    """The same, for what is told after them."""
    disable_policy_checks: bool | None = None
    """None: checks are off until a rule checks, limits or edits something (Istio's charts say true or false)."""
    policy_check_fail_open: bool = False
    enable_client_side_policy_check: bool = False
    disable_mixer_http_reports: bool = False
    via_header: bool = False
    """Mizzen's own: proxies add themselves to `via` of requests and responses (RFC 9110, §7.6.3)."""
    reason_header: bool = False
    """Mizzen's own, for development: answers that proxies make themselves say why in `x-mesh-reason`, to everybody."""
    enable_auto_mtls: bool = False
    """Workloads that say they can (label security.istio.io/tlsMode) speak mutual TLS.

    Istio's default is true. Here that is so where Pilot knows that it certifies them (`app/meshconfig.py`).
    """
    trust_domain: str = "cluster.local"
    trust_domain_aliases: tuple[str, ...] = ()
    """Other names of the trust domain: who is allowed under one is allowed under all."""
    path_normalization: PathNormalization = "DEFAULT"
    authorizers: tuple[ExtAuthz, ...] = ()
    """`extensionProviders` that AuthorizationPolicies with action CUSTOM may name."""
    root_namespace: str = "istio-system"
    domain_suffix: str = "cluster.local"

    @property
    def trust_domains(self) -> tuple[str, ...]:
        """All names of the trust domain, its own first."""
        return tuple(dict.fromkeys((self.trust_domain, *self.trust_domain_aliases)))

    @property
    def mixer_hosts(self) -> frozenset[str]:
        """The services that proxies ask and tell; empty without Mixer."""
        return frozenset(server.rpartition(":")[0] for server in self._mixer_servers)

    @property
    def secure_mixer_hosts(self) -> frozenset[str]:
        """Those of them that proxies speak mutual TLS with."""
        return frozenset(
            host for host, _, port in (s.rpartition(":") for s in self._mixer_servers) if port == MIXER_TLS
        )

    @property
    def _mixer_servers(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.mixer_check_server, self.mixer_report_server)))

    @property
    def consulted_hosts(self) -> frozenset[str]:
        """The services that proxies themselves call: Mixer, and whom policies ask."""
        return self.mixer_hosts | {each.service.rpartition("/")[2] for each in self.authorizers}
