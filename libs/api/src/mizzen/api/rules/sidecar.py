"""Sidecar: ingress and egress listeners."""

from collections.abc import Iterator

from mizzen.api import protocol, syntax
from mizzen.api.gateway import ServerTLSMode, ServerTLSSettings
from mizzen.api.problem import Path
from mizzen.api.resource import Metadata
from mizzen.api.rules import Finding, check_labels, check_port_name, error, warning
from mizzen.api.rules.destination import check_destination
from mizzen.api.rules.gateway import check_bind
from mizzen.api.rules.servertls import check_server_tls
from mizzen.api.rules.trafficpolicy import check_connection_pool
from mizzen.api.sidecar import (
    IstioEgressListener,
    IstioIngressListener,
    OutboundTrafficMode,
    OutboundTrafficPolicy,
    Sidecar,
    SidecarPort,
)
from mizzen.api.types import CaptureMode

DEFAULT_ENDPOINT_HOSTS = ("", "127.0.0.1", "0.0.0.0", "::1", "::")
INGRESS_TLS_MODES = (ServerTLSMode.SIMPLE, ServerTLSMode.MUTUAL, ServerTLSMode.OPTIONAL_MUTUAL)
NO_INGRESS_TLS = ("subjectAltNames", "httpsRedirect", "credentialName", "credentialNames", "tlsCertificates")


def check(spec: Sidecar, metadata: Metadata) -> Iterator[Finding]:
    """All rules of a Sidecar."""
    if spec.workload_selector is not None:
        yield from check_labels(spec.workload_selector.labels, ("workloadSelector", "labels"), selector=True)
    if not (spec.ingress or spec.egress or spec.outbound_traffic_policy or spec.inbound_connection_pool):
        yield error((), "needs at least one of ingress, egress, outboundTrafficPolicy, inboundConnectionPool")
    ports: dict[int, int] = {}
    for index, ingress in enumerate(spec.ingress):
        at: Path = ("ingress", index)
        yield from _check_ingress(ingress, at)
        if ingress.port is not None and ports.setdefault(ingress.port.number, index) != index:
            taken = ports[ingress.port.number]
            yield error((*at, "port", "number"), f"{ingress.port.number} is already the port of ingress[{taken}]")
    yield from check_connection_pool(spec.inbound_connection_pool, ("inboundConnectionPool",))
    yield from _check_egress_listeners(spec.egress, metadata.namespace)
    if spec.outbound_traffic_policy is not None:
        yield from _check_outbound(spec.outbound_traffic_policy, ("outboundTrafficPolicy",))


def _check_ingress(ingress: IstioIngressListener, at: Path) -> Iterator[Finding]:
    yield from check_connection_pool(ingress.connection_pool, (*at, "connectionPool"))
    if ingress.port is None:
        yield error((*at, "port"), "is required")
        return
    yield from _check_port(ingress.port, (*at, "port"))
    if ingress.port.number == 0:
        yield error((*at, "port", "number"), "must be from 1 to 65535")
    if ingress.bind and not syntax.is_address(ingress.bind):
        yield error((*at, "bind"), f"{ingress.bind!r} is not an IP address")
    yield from _check_default_endpoint(ingress.default_endpoint, (*at, "defaultEndpoint"))
    pool = ingress.connection_pool
    if pool is not None and pool.http is not None and not protocol.is_http(ingress.port.protocol):
        yield warning((*at, "connectionPool", "http"), "has no effect: the port's protocol is not HTTP")
    if ingress.tls is not None:
        yield from _check_ingress_tls(ingress.tls, (*at, "tls"))
        if not protocol.is_tls(ingress.port.protocol):
            yield error((*at, "tls"), f"needs protocol HTTPS or TLS, got {ingress.port.protocol!r}")


def _check_ingress_tls(tls: ServerTLSSettings, at: Path) -> Iterator[Finding]:
    for name, field in type(tls).model_fields.items():
        if field.alias in NO_INGRESS_TLS and getattr(tls, name):
            yield error((*at, field.alias), "is not supported in a Sidecar")
    if tls.mode not in INGRESS_TLS_MODES:
        yield error((*at, "mode"), f"must be one of {', '.join(INGRESS_TLS_MODES)}, got {tls.mode}")
    yield from check_server_tls(tls, at)


def _check_port(port: SidecarPort, at: Path) -> Iterator[Finding]:
    if port.name:
        yield from check_port_name(port.name, (*at, "name"))
    if port.protocol and not protocol.is_known(port.protocol):
        yield error((*at, "protocol"), f"must be one of {', '.join(sorted(protocol.KNOWN))}, got {port.protocol!r}")
    if port.target_port:
        yield error((*at, "targetPort"), "has no effect in a Sidecar; remove it")


def _check_default_endpoint(endpoint: str, at: Path) -> Iterator[Finding]:
    """`127.0.0.1:port`, `0.0.0.0:port`, `[::1]:port`, `[::]:port`, `:port` or `unix:///path`."""
    if not endpoint:
        return
    if endpoint.startswith(syntax.UNIX):
        yield from check_bind(endpoint, at)
        return
    host, _, port = endpoint.rpartition(":")
    in_brackets = host.startswith("[") and host.endswith("]")
    known = host.strip("[]") in DEFAULT_ENDPOINT_HOSTS and in_brackets == (":" in host)
    if not known or not port.isdecimal() or not 1 <= int(port) <= 65535:
        yield error(
            at, f"must be 127.0.0.1:port, 0.0.0.0:port, [::1]:port, [::]:port or unix:///path, got {endpoint!r}"
        )


def _check_egress_listeners(listeners: tuple[IstioEgressListener, ...], namespace: str) -> Iterator[Finding]:
    taken: dict[int | str, int] = {}
    for index, egress in enumerate(listeners):
        at: Path = ("egress", index)
        if egress.port is None:
            if index != len(listeners) - 1:
                yield error((*at, "port"), "is required: only the last egress listener may have no port")
        else:
            yield from _check_egress_port(egress, egress.port, at)
            place = egress.port.number or egress.bind
            if taken.setdefault(place, index) != index:
                yield error((*at, "port"), f"{place} is already taken by egress[{taken[place]}]")
        yield from _check_egress_hosts(egress.hosts, (*at, "hosts"), namespace)


def _check_egress_port(egress: IstioEgressListener, port: SidecarPort, at: Path) -> Iterator[Finding]:
    yield from _check_port(port, (*at, "port"))
    yield from check_bind(egress.bind, (*at, "bind"))
    is_socket = egress.bind.startswith(syntax.UNIX)
    if port.number == 0 and not is_socket:
        yield error((*at, "port", "number"), "must be from 1 to 65535, or bind must be a Unix socket")
    if port.number and is_socket:
        yield error((*at, "port", "number"), "must be left out: bind is a Unix socket")
    if is_socket and egress.capture_mode is CaptureMode.IPTABLES:
        yield error((*at, "captureMode"), "must be DEFAULT or NONE: traffic to a Unix socket cannot be captured")


def _check_egress_hosts(hosts: tuple[str, ...], at: Path, namespace: str) -> Iterator[Finding]:
    if not hosts:
        yield error(at, "needs at least one host, such as ./* or */*")
    seen: set[tuple[str, str]] = set()
    for index, entry in enumerate(hosts):
        path = (*at, index)
        problem = syntax.egress_host_problem(entry)
        if problem:
            yield error(path, problem)
            continue
        scope, name = syntax.split_scope(entry)
        scope = namespace if scope == "." else scope
        if (scope, name) in seen or (name != "*" and (scope, "*") in seen):
            yield warning(path, f"{entry!r} is listed already")
        seen.add((scope, name))
    others = {entry for entry in hosts if entry != "*/*" and not entry.startswith("~")}
    if "*/*" in hosts and others:
        yield warning(at, "'*/*' selects everything, so the other hosts have no effect")


def _check_outbound(policy: OutboundTrafficPolicy, at: Path) -> Iterator[Finding]:
    proxy = policy.egress_proxy
    if proxy is None:
        return
    if policy.mode is not OutboundTrafficMode.ALLOW_ANY:
        yield error((*at, "egressProxy"), f"needs mode ALLOW_ANY, got {policy.mode}")
    if proxy.port is None:
        yield error((*at, "egressProxy", "port"), "is required")
    yield from check_destination(proxy, (*at, "egressProxy"))
