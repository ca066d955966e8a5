"""`/config_dump`: what this proxy was given, in the JSON of envoy.admin.v3.ConfigDump."""

from __future__ import annotations

import importlib
import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from google.protobuf import any_pb2, json_format

from mizzen.proxy.app.state import AgentState
from mizzen.proxy.engine.plan import PlanKind
from mizzen.proxy.engine.tls_plan import SecretPlan
from mizzen.proxy.snapshot.store import TYPE_URLS, Held

_REDACTED = {"inline_string": "[redacted]"}
_SIGNS = re.compile(r'"[kd]"')
_ADMIN = "type.googleapis.com/envoy.admin.v3"
_STATUS = "type.googleapis.com/mizzen.status.v1.ProxyStatus"
_NESTED = (
    "access_loggers.file.v3.file_pb2",
    "access_loggers.stream.v3.stream_pb2",
    "filters.http.cors.v3.cors_pb2",
    "filters.http.fault.v3.fault_pb2",
    "filters.http.grpc_stats.v3.config_pb2",
    "filters.http.grpc_web.v3.grpc_web_pb2",
    "filters.http.router.v3.router_pb2",
    "filters.listener.http_inspector.v3.http_inspector_pb2",
    "filters.listener.original_dst.v3.original_dst_pb2",
    "filters.listener.tls_inspector.v3.tls_inspector_pb2",
    "filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "filters.network.tcp_proxy.v3.tcp_proxy_pb2",
    "http.header_formatters.preserve_case.v3.preserve_case_pb2",
    "request_id.uuid.v3.uuid_pb2",
    "retry.host.previous_hosts.v3.previous_hosts_pb2",
    "retry.priority.previous_priorities.v3.previous_priorities_config_pb2",
    "transport_sockets.proxy_protocol.v3.upstream_proxy_protocol_pb2",
    "transport_sockets.raw_buffer.v3.raw_buffer_pb2",
    "transport_sockets.tls.v3.tls_pb2",
    "upstreams.http.v3.http_protocol_options_pb2",
)
"""Below envoy.extensions: messages inside of resources, loaded to be shown; only a dump needs all of them."""


def config_dump(state: AgentState, include_endpoints: bool, resource: str = "") -> dict[str, Any]:
    """All sections; or the entries of the field `resource`, such as dynamic_active_clusters. LookupError: no such."""
    for module in _NESTED:
        importlib.import_module(f"envoy.extensions.{module}")
    sections = [*_sections(state, include_endpoints or resource == "dynamic_endpoint_configs")]
    if not resource:
        return {"configs": sections}
    for section in sections:
        entries = section.get(resource)
        if isinstance(entries, list):
            name = _ENTRY_TYPES.get(resource, "")
            return {"configs": [{"@type": f"{section['@type']}.{name}", **entry} for entry in entries]}
    raise LookupError(f"{resource} not found in config dump")


_ENTRY_TYPES = {
    "dynamic_active_clusters": "DynamicCluster",
    "dynamic_endpoint_configs": "DynamicEndpointConfig",
    "dynamic_listeners": "DynamicListener",
    "dynamic_route_configs": "DynamicRouteConfig",
    "dynamic_active_secrets": "DynamicSecret",
    "dynamic_warming_secrets": "DynamicSecret",
    "unsupported": "UnsupportedField",
}


def unsupported(state: AgentState) -> list[dict[str, Any]]:
    """Accepted fields without effect, as in mizzen.status.v1.ProxyStatus."""
    found = sorted(state.session.store.unsupported().items())
    return [{"field": item.field, "origin": item.origin, "count": count} for item, count in found]


def _sections(state: AgentState, include_endpoints: bool) -> Iterator[dict[str, Any]]:
    node = state.settings.node
    bootstrap = {"node": {"id": node.id, "cluster": node.cluster, "metadata": dict(node.metadata)}}
    yield {
        "@type": f"{_ADMIN}.BootstrapConfigDump",
        "bootstrap": bootstrap,
        "last_updated": _timestamp(state.started),
    }
    yield _section(state, "ClustersConfigDump", "dynamic_active_clusters", "cluster", "cluster")
    if include_endpoints:
        yield _section(state, "EndpointsConfigDump", "dynamic_endpoint_configs", "endpoint_set", "endpoint_config")
    yield {
        "@type": f"{_ADMIN}.ListenersConfigDump",
        "dynamic_listeners": _listeners(state),
    }
    yield _section(state, "RoutesConfigDump", "dynamic_route_configs", "route_table", "route_config")
    yield _secrets(state)
    yield {"@type": _STATUS, "unsupported": unsupported(state)}


def _section(state: AgentState, name: str, field: str, kind: PlanKind, entry: str) -> dict[str, Any]:
    errors = state.session.store.errors(kind)
    entries = [_entry(state, kind, held, entry) | _error(errors.get(held.name)) for held in _held(state, kind)]
    return {"@type": f"{_ADMIN}.{name}", field: entries}


def _listeners(state: AgentState) -> list[dict[str, Any]]:
    """Those in use, those that wait, and those that were never accepted."""
    errors = state.session.store.errors("listener")
    shown = []
    for held in _held(state, "listener"):
        place = "active_state" if held.name in state.deliverer.listeners else "warming_state"
        error = _error(errors.pop(held.name, None))
        shown.append({"name": held.name, place: _entry(state, "listener", held, "listener")} | error)
    return shown + [{"name": name} | _error(reason) for name, reason in sorted(errors.items())]


def _secrets(state: AgentState) -> dict[str, Any]:
    """Those that the workers have, and those that are waited for; never a key (Envoy's SecretsConfigDump)."""
    store, known = state.session.store, state.deliverer.secrets
    errors = store.errors("secret") | state.deliverer.files.errors
    shown = []
    for name, plan in sorted(known.items()):
        held = store.kinds["secret"].get(name)
        entry = {"name": name, "version_info": held.version if held else "", "secret": _redacted(plan)}
        updated = state.deliverer.updated.get(("secret", name))
        shown.append(entry | ({"last_updated": _timestamp(updated)} if updated else {}) | _error(errors.get(name)))
    awaited = sorted(store.secret_names() - known.keys())
    return {
        "@type": f"{_ADMIN}.SecretsConfigDump",
        "dynamic_active_secrets": shown,
        "dynamic_warming_secrets": [{"name": name} | _error(errors.get(name)) for name in awaited],
    }


def _redacted(plan: SecretPlan) -> dict[str, Any]:
    """envoy.extensions.transport_sockets.tls.v3.Secret without what nobody may see."""
    secret: dict[str, Any] = {"@type": TYPE_URLS["secret"], "name": plan.name}
    if plan.key:
        secret["tls_certificate"] = {
            "certificate_chain": _inline(plan.chain),
            "private_key": _REDACTED,
        }
    else:
        known = {"trusted_ca": plan.roots, "crl": plan.crl}
        secret["validation_context"] = {field: _inline(pem) for field, pem in known.items() if pem}
    return secret


def _inline(pem: str) -> dict[str, str]:
    return {"inline_bytes": b64encode(pem.encode()).decode()}


def _error(reason: str | None) -> dict[str, Any]:
    return {"error_state": {"details": reason}} if reason else {}


def _entry(state: AgentState, kind: PlanKind, held: Held, field: str) -> dict[str, Any]:
    shown = {"version_info": held.version, field: _plain(kind, held)}
    updated = state.deliverer.updated.get((kind, held.name))
    if updated is not None:
        shown["last_updated"] = _timestamp(updated)
    return shown


def _plain(kind: PlanKind, held: Held) -> Any:
    packed = any_pb2.Any(type_url=TYPE_URLS[kind], value=held.body)
    try:
        return _without_secrets(json_format.MessageToDict(packed, preserving_proto_field_name=True))
    except TypeError as error:  # a nested type that this proxy does not know
        return {"@type": packed.type_url, "name": held.name, "error": str(error)}


def _without_secrets(shown: Any) -> Any:
    """The same without sets of keys with which somebody could sign tokens (RFC 7518 §6: `k` and `d` are secret)."""
    if isinstance(shown, list):
        return [_without_secrets(each) for each in shown]
    if not isinstance(shown, dict):
        return shown
    return {
        name: _REDACTED if name == "local_jwks" and _SIGNS.search(str(value)) else _without_secrets(value)
        for name, value in shown.items()
    }


def _held(state: AgentState, kind: PlanKind) -> list[Held]:
    return sorted(state.session.store.kinds[kind].values(), key=lambda held: held.name)


def _timestamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
