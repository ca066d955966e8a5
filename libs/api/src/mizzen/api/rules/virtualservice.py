"""VirtualService: rules of the whole, then of HTTP, TLS and TCP routes."""

from collections.abc import Iterator, Mapping

from mizzen.api import syntax
from mizzen.api.hosts import covers
from mizzen.api.problem import Path
from mizzen.api.resource import Metadata
from mizzen.api.rules import Finding, check_export_to, check_labels, check_namespace, error, httproute, warning
from mizzen.api.rules.destination import check_weights
from mizzen.api.rules.reachable import check_reachable
from mizzen.api.virtualservice import (
    L4MatchAttributes,
    StringMatch,
    TCPRoute,
    TLSMatchAttributes,
    TLSRoute,
    VirtualService,
)

MESH = "mesh"
"""The name under `gateways` that stands for all sidecars."""


def check(spec: VirtualService, metadata: Metadata) -> Iterator[Finding]:
    """All rules of a VirtualService."""
    is_delegate = not spec.hosts
    if is_delegate:
        yield from _check_delegate(spec)
    yield from check_gateway_names(spec.gateways, ("gateways",))
    yield from _check_hosts(spec)
    if not (spec.http or spec.tls or spec.tcp):
        yield error((), "needs at least one of http, tls, tcp")
    in_mesh = not spec.gateways or MESH in spec.gateways
    for index, http in enumerate(spec.http):
        at: Path = ("http", index)
        yield from httproute.check(http, at, is_delegate=is_delegate)
        for number, match in enumerate(http.match):
            yield from _check_claims(match.headers, (*at, "match", number, "headers"), in_mesh)
            yield from _check_claims(match.without_headers, (*at, "match", number, "withoutHeaders"), in_mesh)
            yield from check_gateway_names(match.gateways, (*at, "match", number, "gateways"))
    for index, tls in enumerate(spec.tls):
        yield from _check_tls(tls, ("tls", index), spec.hosts)
    for index, tcp in enumerate(spec.tcp):
        yield from _check_tcp(tcp, ("tcp", index))
    yield from check_export_to(spec.export_to, metadata.namespace)
    yield from check_reachable(spec)


def check_gateway_names(names: tuple[str, ...], path: Path) -> Iterator[Finding]:
    """`mesh`, `name`, `namespace/name`, or the old `name.namespace.svc...` form, which is a warning."""
    for index, name in enumerate(names):
        at = (*path, index)
        namespace, slash, gateway = name.rpartition("/")
        if slash and not (namespace == "." or syntax.is_dns1123_label(namespace)):
            yield error(at, f"{name!r} is not namespace/name: {namespace!r} is not a namespace")
        elif not slash and "." in name and syntax.is_dns1123_subdomain(name):
            first, second = name.split(".")[:2]
            yield warning(at, f"{name!r} is the old form of a gateway's name; write {second}/{first}")
        elif not syntax.is_dns1123_label(gateway):
            yield error(at, f"{gateway!r} is not a gateway's name: lower-case letters, digits and inner dashes")


def _check_delegate(spec: VirtualService) -> Iterator[Finding]:
    for name in ("gateways", "tls", "tcp"):
        if getattr(spec, name):
            yield error((name,), "a VirtualService without hosts is a delegate and has http routes only")


def _check_hosts(spec: VirtualService) -> Iterator[Finding]:
    for index, host in enumerate(spec.hosts):
        if host == "*" and (not spec.gateways or MESH in spec.gateways):
            yield error(
                ("hosts", index), "'*' is not allowed in the mesh: name hosts, or list only gateways under gateways"
            )
        for earlier, other in enumerate(spec.hosts[:index]):
            if covers(host, other) or covers(other, host):
                yield error(("hosts", index), f"{host!r} overlaps with hosts[{earlier}] {other!r}")
                break


def _check_claims(headers: Mapping[str, StringMatch], path: Path, in_mesh: bool) -> Iterator[Finding]:
    for name in headers:
        if in_mesh and syntax.is_jwt_claim(name):
            yield error((*path, name), "claims can only be matched at gateways: list them under gateways, without mesh")


def _check_tls(route: TLSRoute, at: Path, hosts: tuple[str, ...]) -> Iterator[Finding]:
    if not route.match:
        yield error((*at, "match"), "needs at least one match with sniHosts")
    for index, match in enumerate(route.match):
        path = (*at, "match", index)
        if not match.sni_hosts:
            yield error((*path, "sniHosts"), "needs at least one host")
        for number, sni in enumerate(match.sni_hosts):
            if syntax.is_address(sni):
                yield warning(
                    (*path, "sniHosts", number), f"{sni!r} is an IP address, which clients do not send as SNI"
                )
            elif not any(covers(host, sni) for host in hosts):
                listed = ", ".join(hosts)
                yield error(
                    (*path, "sniHosts", number), f"{sni!r} is not among the hosts of this VirtualService ({listed})"
                )
        yield from _check_connection(match, path)
    yield from check_weights(route.route, (*at, "route"))


def _check_tcp(route: TCPRoute, at: Path) -> Iterator[Finding]:
    for index, match in enumerate(route.match):
        yield from _check_connection(match, (*at, "match", index))
    yield from check_weights(route.route, (*at, "route"))


def _check_connection(match: TLSMatchAttributes | L4MatchAttributes, path: Path) -> Iterator[Finding]:
    yield from check_labels(match.source_labels, (*path, "sourceLabels"))
    yield from check_gateway_names(match.gateways, (*path, "gateways"))
    yield from check_namespace(match.source_namespace, (*path, "sourceNamespace"))
