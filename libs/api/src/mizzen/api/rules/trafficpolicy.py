"""The policies of a DestinationRule: pools, ejection, TLS, tunnel."""

from collections.abc import Iterator

from mizzen.api import syntax
from mizzen.api.destinationrule import (
    ClientTLSMode,
    ClientTLSSettings,
    ConnectionPoolSettings,
    H2UpgradePolicy,
    OutlierDetection,
    PortTrafficPolicy,
    TrafficPolicy,
    TunnelSettings,
)
from mizzen.api.problem import Path
from mizzen.api.rules import Finding, error, warning
from mizzen.api.rules.loadbalancer import check_load_balancer

PORT_PARTS = ("loadBalancer", "connectionPool", "outlierDetection", "tls")


def check_traffic_policy(policy: TrafficPolicy | None, at: Path) -> Iterator[Finding]:
    """All rules of one policy, of the host or of a subset."""
    if policy is None:
        return
    if not policy.model_dump(exclude_none=True, exclude_defaults=True, exclude_unset=True):
        yield error(at, "needs at least one field")
    yield from _check_parts(policy, at)
    ports: dict[int, int] = {}
    for index, port_policy in enumerate(policy.port_level_settings):
        path = (*at, "portLevelSettings", index)
        yield from _check_port_policy(port_policy, path)
        if port_policy.port is not None:
            first = ports.setdefault(port_policy.port.number, index)
            if first != index:
                yield error(
                    (*path, "port"), f"port {port_policy.port.number} has a policy already, portLevelSettings[{first}]"
                )
    if policy.tunnel is not None:
        yield from _check_tunnel(policy.tunnel, (*at, "tunnel"))
        if policy.proxy_protocol is not None:
            yield error((*at, "tunnel"), "cannot stand beside proxyProtocol")


def _check_port_policy(policy: PortTrafficPolicy, at: Path) -> Iterator[Finding]:
    if policy.port is None:
        yield error((*at, "port"), "is required")
    if not policy.model_fields_set - {"port"}:
        yield error(at, f"needs at least one of {', '.join(PORT_PARTS)}")
    yield from _check_parts(policy, at)


def _check_parts(policy: TrafficPolicy | PortTrafficPolicy, at: Path) -> Iterator[Finding]:
    if policy.load_balancer is not None:
        yield from check_load_balancer(policy.load_balancer, policy.outlier_detection, (*at, "loadBalancer"))
    yield from check_connection_pool(policy.connection_pool, (*at, "connectionPool"))
    if policy.outlier_detection is not None:
        yield from _check_outlier_detection(policy.outlier_detection, (*at, "outlierDetection"))
    if policy.tls is not None:
        yield from _check_tls(policy.tls, (*at, "tls"))


def check_connection_pool(pool: ConnectionPoolSettings | None, at: Path) -> Iterator[Finding]:
    """All rules of a connection pool; a Sidecar has them too."""
    if pool is None:
        return
    if pool.tcp is None and pool.http is None:
        yield error(at, "needs tcp, http or both")
    if pool.http is None:
        return
    if pool.http.use_client_protocol and pool.http.h2_upgrade_policy is H2UpgradePolicy.UPGRADE:
        yield error((*at, "http", "useClientProtocol"), "cannot be true while h2UpgradePolicy is UPGRADE")
    keep_alive = pool.http.http2_keep_alive
    if keep_alive is not None:
        for name in ("interval", "timeout"):
            if getattr(keep_alive, name) is None:
                yield error((*at, "http", "http2KeepAlive", name), "is required")


def _check_outlier_detection(outlier: OutlierDetection, at: Path) -> Iterator[Finding]:
    if outlier.consecutive_errors:
        yield warning((*at, "consecutiveErrors"), "is deprecated; use consecutive5xxErrors or consecutiveGatewayErrors")
    if outlier.consecutive_local_origin_failures and not outlier.split_external_local_origin_errors:
        yield error((*at, "consecutiveLocalOriginFailures"), "needs splitExternalLocalOriginErrors: true")


def _check_tls(tls: ClientTLSSettings, at: Path) -> Iterator[Finding]:
    files = ("client_certificate", "private_key", "ca_certificates", "ca_crl")
    has_own = tls.mode in (ClientTLSMode.SIMPLE, ClientTLSMode.MUTUAL)
    if has_own and tls.credential_name:
        if any(getattr(tls, name) for name in files):
            yield error((*at, "credentialName"), "cannot stand beside certificate files")
    elif tls.mode is ClientTLSMode.MUTUAL:
        for name, path in (("client_certificate", "clientCertificate"), ("private_key", "privateKey")):
            if not getattr(tls, name):
                yield error((*at, path), "is required for mode MUTUAL")
    if has_own and tls.insecure_skip_verify:
        by_credential = tls.mode is ClientTLSMode.SIMPLE and tls.credential_name
        if tls.ca_certificates or tls.subject_alt_names or by_credential:
            yield error((*at, "insecureSkipVerify"), "cannot stand beside what the server would be verified with")
    elif tls.mode is ClientTLSMode.SIMPLE and not tls.ca_certificates and not tls.credential_name:
        yield warning((*at, "caCertificates"), "is unset: the operating system's authorities are trusted")


def _check_tunnel(tunnel: TunnelSettings, at: Path) -> Iterator[Finding]:
    if tunnel.protocol not in ("", "CONNECT", "POST"):
        yield error((*at, "protocol"), f"must be CONNECT or POST, got {tunnel.protocol!r}")
    try:
        syntax.check_address_or_fqdn(tunnel.target_host)
    except ValueError as problem:
        yield error((*at, "targetHost"), str(problem))
