"""What a filter chain does with connections: HttpConnectionManager to HttpPlan, TcpProxy to TcpPlan."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2 as http_ext_authz_pb2
from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2 as jwt_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from envoy.extensions.filters.network.ext_authz.v3 import ext_authz_pb2 as network_ext_authz_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from mizzen.proxy.engine.mixer_plan import MixerPlan, TcpMixerPlan
from mizzen.proxy.engine.plan import (
    ClientCertMode,
    ClientCertPlan,
    EscapedSlashes,
    GuardPlan,
    HttpPlan,
    RouteTablePlan,
    TcpPlan,
    WeightedCluster,
)
from mizzen.proxy.snapshot import extauthz
from mizzen.proxy.snapshot.accesslogs import access_logs
from mizzen.proxy.snapshot.jwt import jwt_filter
from mizzen.proxy.snapshot.mixer import HTTP_CONFIG, TCP_CONFIG, http_filter, tcp_filter
from mizzen.proxy.snapshot.rbac import rbac_filter
from mizzen.proxy.snapshot.result import Invalid, Notes, at
from mizzen.proxy.snapshot.routes import route_table
from mizzen.proxy.snapshot.values import one_line, origin, seconds, type_name, unpack, wrapped

_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_TCP_PROXY = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_SNI_CLUSTER = "envoy.extensions.filters.network.sni_cluster.v3.SniCluster"
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"
_DEFAULT_HEADERS_TIMEOUT = 10.0
"""Seconds; Envoy's default is none. A client that never finishes its head must not hold a connection for ever."""
_HTTP = (
    "codec_type",
    "stat_prefix",
    "rds",
    "route_config",
    "http_filters",
    "common_http_protocol_options",
    "http_protocol_options",
    "server_name",
    "via",
    "local_reply_config",  # looked at in _tells_reasons
    "max_request_headers_kb",
    "stream_idle_timeout",
    "request_headers_timeout",
    "access_log",
    "use_remote_address",
    "xff_num_trusted_hops",
    "generate_request_id",
    "normalize_path",
    "merge_slashes",
    "path_with_escaped_slashes_action",
    # Request ids are UUIDs anyway; early drains are the agent's affair.
    "forward_client_cert_details",
    "set_current_client_cert_details",
    "request_id_extension",
    "drain_timeout",
    "preserve_external_request_id",
    "upgrade_configs",  # looked at in _http
)
_REASON: Final = "x-mesh-reason"
_ESCAPED_SLASHES: Final[tuple[EscapedSlashes, ...]] = ("keep", "keep", "refuse", "refuse", "unescape")
"""By the numbers of PathWithEscapedSlashesAction; a redirect (3) is refused in place."""
_REDIRECT_ESCAPED_SLASHES: Final = 3
_HTTP_RBAC = "envoy.extensions.filters.http.rbac.v3.RBAC"
_HTTP_EXT_AUTHZ = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
_JWT = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
_CLIENT_CERT: Final[tuple[ClientCertMode, ...]] = (
    "sanitize",
    "forward_only",
    "append_forward",
    "sanitize_set",
    "always_forward_only",
)
_GUARDS = frozenset(
    {
        "envoy.extensions.filters.http.oauth2.v3.OAuth2",
        "envoy.extensions.filters.http.basic_auth.v3.BasicAuth",
        "envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth",
        "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
    }
)
"""Filters that keep requests out: without them the listener would be open."""
_HARMLESS_FILTERS = frozenset(
    {
        _ROUTER,
        # These act only on routes that configure them, and are reported there.
        "envoy.extensions.filters.http.fault.v3.HTTPFault",
        "envoy.extensions.filters.http.cors.v3.Cors",
    }
)


def handler(chain: Any, notes: Notes, *, inbound: bool) -> HttpPlan | TcpPlan:
    """What the network filters of a chain do; raises Invalid."""
    if not chain.filters:
        raise Invalid("filters", "is empty")
    mixer: TcpMixerPlan | None = None
    guards: list[GuardPlan] = []
    by_server_name = False
    for index, item in enumerate(chain.filters[:-1]):
        with at(f"filters[{index}]"):
            match type_name(item.typed_config):
                case "envoy.extensions.filters.network.rbac.v3.RBAC":
                    guards += rbac_filter(unpack(item.typed_config, network_rbac_pb2.RBAC))
                case "envoy.extensions.filters.network.ext_authz.v3.ExtAuthz":
                    guards.append(
                        extauthz.network_filter(unpack(item.typed_config, network_ext_authz_pb2.ExtAuthz), notes)
                    )
                case kind if kind == _SNI_CLUSTER:
                    by_server_name = True
                case kind if kind == TCP_CONFIG:
                    mixer = tcp_filter(item.typed_config, notes)
                case kind:
                    raise Invalid("", f"{kind} is not supported")
    last = chain.filters[-1]
    kind = type_name(last.typed_config)
    with at(f"filters[{len(chain.filters) - 1}].typed_config"):
        if kind == _MANAGER:
            if by_server_name:
                raise Invalid("", "a network filter sni_cluster goes with a tcp_proxy; HTTP has routes")
            if mixer is not None:
                raise Invalid("", "a network filter mixer goes with a tcp_proxy; HTTP has its own")
            manager = unpack(last.typed_config, http_connection_manager_pb2.HttpConnectionManager)
            plan = _http(manager, notes, inbound=inbound)
            return replace(plan, guards=(*guards, *plan.guards))
        if kind == _TCP_PROXY:
            proxy = unpack(last.typed_config, tcp_proxy_pb2.TcpProxy)
            tcp = _tcp(proxy, origin(chain.metadata), notes, mixer, tuple(guards))
            return replace(tcp, by_server_name=by_server_name)
        raise Invalid("", f"{kind} is not supported")


def _http(message: Any, notes: Notes, *, inbound: bool) -> HttpPlan:
    notes.check(message, _HTTP)
    filters = _read_filters(message, notes, inbound=inbound)
    common, http1 = message.common_http_protocol_options, message.http_protocol_options
    notes.check(common, ("idle_timeout", "max_requests_per_connection"))
    notes.check(http1, ("header_key_format", "accept_http_10", "allow_absolute_url"))
    if message.path_with_escaped_slashes_action == _REDIRECT_ESCAPED_SLASHES:
        notes.add(f"{message.DESCRIPTOR.full_name}.path_with_escaped_slashes_action")
    if any(upgrade.upgrade_type.lower() != "websocket" for upgrade in message.upgrade_configs):
        notes.add(f"{message.DESCRIPTOR.full_name}.upgrade_configs")  # Pilot offers WebSocket unasked, to everybody
    return HttpPlan(
        stat_prefix=message.stat_prefix,
        route_table=_routes(message, notes),
        server_name=one_line(message, "server_name") or "envoy",
        via=one_line(message, "via"),
        tells_reasons=_tells_reasons(message, notes),
        use_remote_address=wrapped(message, "use_remote_address", False),
        trusted_hops=message.xff_num_trusted_hops,
        generate_request_id=wrapped(message, "generate_request_id", True),
        normalize_path=wrapped(message, "normalize_path", False),
        merge_slashes=message.merge_slashes,
        escaped_slashes=_escaped_slashes(message),
        idle_timeout=seconds(common, "idle_timeout", 3600.0),
        headers_timeout=seconds(message, "request_headers_timeout", _DEFAULT_HEADERS_TIMEOUT),
        stream_idle_timeout=seconds(message, "stream_idle_timeout", 300.0),
        max_request_headers=wrapped(message, "max_request_headers_kb", 60) * 1024,
        max_requests_per_connection=wrapped(common, "max_requests_per_connection", 0),
        access_logs=access_logs(message.access_log, notes),
        accept_http_10=http1.accept_http_10,
        mixer=filters.mixer,
        guards=tuple(filters.guards),
        client_cert=_client_cert(message, notes),
    )


def _escaped_slashes(message: Any) -> EscapedSlashes:
    action = int(message.path_with_escaped_slashes_action)
    if action >= len(_ESCAPED_SLASHES):
        raise Invalid("path_with_escaped_slashes_action", f"{action} is unknown")
    return _ESCAPED_SLASHES[action]


def _client_cert(message: Any, notes: Notes) -> ClientCertPlan:
    said = message.set_current_client_cert_details
    notes.check(said, ("cert", "subject", "uri", "dns"))
    mode = _CLIENT_CERT[message.forward_client_cert_details]
    return ClientCertPlan(mode, said.cert, wrapped(said, "subject", False), said.uri, said.dns)


def _tells_reasons(message: Any, notes: Notes) -> bool:
    """Whether all answers of the proxy's own get x-mesh-reason; what it says is our own. More is not supported."""
    config = message.local_reply_config
    if not config.ListFields():
        return False
    added = [each.header.key.lower() for mapper in config.mappers for each in mapper.headers_to_add]
    plain = all(_every(mapper.filter) and len(mapper.ListFields()) == 2 for mapper in config.mappers)
    if added != [_REASON] or not plain or config.HasField("body_format"):
        notes.add(f"{message.DESCRIPTOR.full_name}.local_reply_config")
    return _REASON in added


def _every(filter_: Any) -> bool:
    """An access log's filter that every status passes."""
    comparison = filter_.status_code_filter.comparison
    return bool(comparison.op == comparison.GE and 0 < comparison.value.default_value <= 100)


def _routes(message: Any, notes: Notes) -> RouteTablePlan | str:
    kind = message.WhichOneof("route_specifier")
    if kind == "rds":
        if message.rds.config_source.WhichOneof("config_source_specifier") != "ads":
            raise Invalid("rds.config_source", "only ads is supported")
        return str(message.rds.route_config_name)
    if kind == "route_config":
        with at("route_config"):
            return route_table(message.route_config, notes)
    raise Invalid(kind or "rds", "needs one of rds, route_config")


@dataclass(slots=True)
class _Filters:
    """What the HTTP filters before the router do."""

    mixer: MixerPlan | None = None
    guards: list[GuardPlan] = field(default_factory=list)


def _read_filters(message: Any, notes: Notes, *, inbound: bool) -> _Filters:
    """A filter that changes or refuses requests must not be left out in silence."""
    filters = _Filters()
    kinds = [type_name(item.typed_config) for item in message.http_filters]
    if not kinds or kinds[-1] != _ROUTER:
        raise Invalid("http_filters", "the last one must be the router")
    for index, (kind, item) in enumerate(zip(kinds, message.http_filters, strict=True)):
        with at(f"http_filters[{index}]"):
            _read_filter(kind, item.typed_config, filters, notes, inbound=inbound)
    return filters


def _read_filter(kind: str, config: Any, filters: _Filters, notes: Notes, *, inbound: bool) -> None:
    if kind in _GUARDS:
        raise Invalid("", f"{kind} is not supported, and without it everyone would get in")
    if kind == _JWT:
        with at("typed_config"):
            filters.guards.append(jwt_filter(unpack(config, jwt_pb2.JwtAuthentication), notes))
    elif kind == _HTTP_EXT_AUTHZ:
        with at("typed_config"):
            filters.guards.append(extauthz.http_filter(unpack(config, http_ext_authz_pb2.ExtAuthz), notes))
    elif kind == _HTTP_RBAC:
        with at("typed_config"):
            filters.guards += rbac_filter(unpack(config, http_rbac_pb2.RBAC))
    elif kind == HTTP_CONFIG:
        with at("typed_config"):
            filters.mixer = http_filter(config, notes, inbound=inbound)
    elif kind not in _HARMLESS_FILTERS:
        notes.add(kind)


def _tcp(message: Any, source: str, notes: Notes, mixer: TcpMixerPlan | None, guards: tuple[GuardPlan, ...]) -> TcpPlan:
    notes.check(message, ("stat_prefix", "cluster", "weighted_clusters", "idle_timeout", "access_log"), source)
    return TcpPlan(
        stat_prefix=message.stat_prefix,
        clusters=_tcp_clusters(message),
        idle_timeout=seconds(message, "idle_timeout", 3600.0),
        access_logs=access_logs(message.access_log, notes),
        origin=source,
        mixer=mixer,
        guards=guards,
    )


def _tcp_clusters(message: Any) -> tuple[WeightedCluster, ...]:
    kind = message.WhichOneof("cluster_specifier")
    if kind == "cluster":
        return (WeightedCluster(message.cluster),)
    if kind == "weighted_clusters":
        return tuple(WeightedCluster(item.name, item.weight) for item in message.weighted_clusters.clusters)
    raise Invalid("cluster", "is missing")
