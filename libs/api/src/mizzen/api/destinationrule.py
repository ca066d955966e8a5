"""DestinationRule: how a client talks to a service: balancing, pools, ejection, TLS, and named subsets."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from mizzen.api.selector import WorkloadSelector
from mizzen.api.types import (
    Bool,
    Duration,
    DurationOrZero,
    Host,
    Int32,
    Model,
    Number,
    Port,
    PortSelector,
    UInt32,
    UInt64,
)

Count = Annotated[Int32, Field(ge=0)]
PercentInt = Annotated[Int32, Field(ge=0, le=100)]


class SimpleLB(StrEnum):
    """Balancers without settings. UNSPECIFIED means LEAST_REQUEST."""

    UNSPECIFIED = "UNSPECIFIED"
    LEAST_CONN = "LEAST_CONN"
    RANDOM = "RANDOM"
    PASSTHROUGH = "PASSTHROUGH"
    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_REQUEST = "LEAST_REQUEST"


class HTTPCookieAttribute(Model):
    """An attribute of a generated cookie, such as SameSite."""

    name: str
    value: str = ""


class HTTPCookie(Model):
    """Hash a cookie. It is generated when `ttl` is set and the request has none; a ttl of 0 makes a session cookie."""

    name: str
    path: str = ""
    ttl: DurationOrZero | None = None
    attributes: tuple[HTTPCookieAttribute, ...] = ()


class RingHash(Model):
    """Ketama hashing; at least this many points on the ring (1024 when unset)."""

    minimum_ring_size: UInt64 | None = None


class MagLev(Model):
    """Maglev hashing; the table has this prime number of slots (65537 when unset)."""

    table_size: UInt64 | None = None


class ConsistentHashLB(Model):
    """The same key goes to the same endpoint while it lives."""

    one_of = (
        ("http_header_name", "http_cookie", "use_source_ip", "http_query_parameter_name"),
        ("ring_hash", "maglev"),
    )

    http_header_name: str | None = None
    http_cookie: HTTPCookie | None = None
    use_source_ip: Bool | None = None
    http_query_parameter_name: str | None = None
    ring_hash: RingHash | None = None
    maglev: MagLev | None = None
    minimum_ring_size: UInt64 | None = None
    """Deprecated by `ring_hash`."""


class LocalityDistribute(Model):
    """Callers in `from_` (region/zone/subzone, `*` for any) are spread over localities by weights that sum to 100."""

    from_: str = ""
    to: dict[str, UInt32] = Field(default_factory=dict)


class LocalityFailover(Model):
    """Callers in region `from_` go to region `to` when their own fails."""

    from_: str = ""
    to: str = ""


class LocalityLoadBalancerSetting(Model):
    """Which localities serve callers of a locality."""

    distribute: tuple[LocalityDistribute, ...] = ()
    failover: tuple[LocalityFailover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    enabled: Bool | None = None


class ZoneAwareLoadBalancerSetting(Model):
    """Prefer endpoints of the caller's zone while the load stays even."""

    enabled: Bool | None = None
    failover: tuple[LocalityFailover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    min_cluster_size: UInt64 | None = None


class WarmupConfiguration(Model):
    """Raise a new endpoint's share over `duration`, from `minimum_percent` (10), by a curve of `aggression` (1)."""

    duration: Duration
    minimum_percent: Annotated[Number, Field(ge=0, le=100)] | None = None
    aggression: Annotated[Number, Field(gt=0)] | None = None


class LoadBalancerSettings(Model):
    """How an endpoint is chosen."""

    one_of = (("simple", "consistent_hash"),)

    simple: SimpleLB | None = None
    consistent_hash: ConsistentHashLB | None = None
    locality_lb_setting: LocalityLoadBalancerSetting | None = None
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = None
    warmup_duration_secs: Duration | None = None
    """Deprecated by `warmup`."""
    warmup: WarmupConfiguration | None = None


class TcpKeepalive(Model):
    """SO_KEEPALIVE: probes without answer, idle time before the first, interval between them."""

    probes: UInt32 | None = None
    time: Duration | None = None
    interval: Duration | None = None


class TCPSettings(Model):
    """Limits on connections."""

    max_connections: Count | None = None
    connect_timeout: Duration | None = None
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration: Duration | None = None
    idle_timeout: DurationOrZero | None = None
    """1 h when unset; 0 for no limit."""


class H2UpgradePolicy(StrEnum):
    """Whether HTTP/1 requests go to the service as HTTP/2."""

    DEFAULT = "DEFAULT"
    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


class ConnectionKeepalive(Model):
    """HTTP/2 PING: how often, and how long to wait for the answer."""

    interval: Duration | None = None
    timeout: Duration | None = None


class HTTPSettings(Model):
    """Limits on requests."""

    http1_max_pending_requests: Count | None = None
    http2_max_requests: Count | None = None
    max_requests_per_connection: Count | None = None
    max_retries: Count | None = None
    idle_timeout: Duration | None = None
    h2_upgrade_policy: H2UpgradePolicy = H2UpgradePolicy.DEFAULT
    use_client_protocol: Bool = False
    max_concurrent_streams: Count | None = None
    http2_keep_alive: ConnectionKeepalive | None = None


class ConnectionPoolSettings(Model):
    """Limits on what one client sends to the service."""

    tcp: TCPSettings | None = None
    http: HTTPSettings | None = None


class OutlierDetection(Model):
    """Take endpoints that fail out of the pool for a while."""

    consecutive_errors: Int32 | None = None
    """Deprecated by `consecutive_5xx_errors` and `consecutive_gateway_errors`."""
    split_external_local_origin_errors: Bool = False
    consecutive_local_origin_failures: UInt32 | None = None
    consecutive_gateway_errors: UInt32 | None = None
    consecutive_5xx_errors: UInt32 | None = None
    interval: Duration | None = None
    base_ejection_time: Duration | None = None
    max_ejection_percent: PercentInt | None = None
    min_health_percent: PercentInt | None = None
    outlier_detection_http_error_codes: tuple[UInt32, ...] = ()


class ClientTLSMode(StrEnum):
    """What TLS a client speaks to the service."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


class ClientTLSSettings(Model):
    """TLS towards the service."""

    mode: ClientTLSMode = ClientTLSMode.DISABLE
    client_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    credential_name: str = ""
    subject_alt_names: tuple[str, ...] = ()
    sni: str = ""
    insecure_skip_verify: Bool | None = None
    ca_crl: str = ""


class PortTrafficPolicy(Model):
    """The policy of one port; it replaces the destination's as a whole."""

    port: PortSelector | None = None
    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None


class TunnelSettings(Model):
    """Wrap connections in HTTP CONNECT (or POST) to a proxy."""

    protocol: str = ""
    target_host: str
    target_port: Port


class ProxyProtocolVersion(StrEnum):
    """The text (V1) or the binary (V2) header."""

    V1 = "V1"
    V2 = "V2"


class ProxyProtocol(Model):
    """Send the PROXY protocol header."""

    version: ProxyProtocolVersion = ProxyProtocolVersion.V1


class RetryBudget(Model):
    """At most `percent` (20) of active requests may be retries, `min_retry_concurrency` (3) always."""

    percent: Annotated[Number, Field(ge=0, le=100)] | None = None
    min_retry_concurrency: UInt32 | None = None
    budget_interval: DurationOrZero | None = None


class TrafficPolicy(Model):
    """How clients talk to the service or subset."""

    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    port_level_settings: tuple[PortTrafficPolicy, ...] = ()
    tunnel: TunnelSettings | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None


class Subset(Model):
    """The endpoints of the service that carry these labels, under a name for routes."""

    name: str
    labels: dict[str, str] = Field(default_factory=dict)
    traffic_policy: TrafficPolicy | None = None


class DestinationRule(Model):
    """What applies to traffic for `host` after routing."""

    host: Host
    traffic_policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    export_to: tuple[str, ...] = ()
    workload_selector: WorkloadSelector | None = None
