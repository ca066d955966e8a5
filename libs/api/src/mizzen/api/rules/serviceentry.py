"""ServiceEntry: hosts, ports, and what each resolution allows."""

from collections.abc import Iterator

from mizzen.api import protocol, syntax
from mizzen.api.resource import Metadata
from mizzen.api.rules import Finding, check_export_to, check_labels, check_port_name, error, warning
from mizzen.api.rules.workloadentry import check_endpoint
from mizzen.api.serviceentry import Resolution, ServiceEntry

DNS = (Resolution.DNS, Resolution.DNS_ROUND_ROBIN)
DYNAMIC_PROTOCOLS = ("HTTP", "HTTP2", "GRPC", "TLS")


def check(spec: ServiceEntry, metadata: Metadata) -> Iterator[Finding]:
    """All rules of a ServiceEntry."""
    yield from _check_hosts(spec)
    yield from _check_ports(spec)
    if spec.resolution not in (Resolution.NONE, Resolution.STATIC):
        for index, address in enumerate(spec.addresses):
            if "/" in address and spec.resolution is not Resolution.DYNAMIC_DNS:
                yield error(
                    ("addresses", index), f"a CIDR block needs resolution NONE or STATIC, not {spec.resolution}"
                )
    if spec.workload_selector is not None:
        yield from check_labels(spec.workload_selector.labels, ("workloadSelector", "labels"), selector=True)
        if spec.endpoints:
            yield error(("endpoints",), "cannot stand beside workloadSelector")
        if spec.resolution is Resolution.NONE:
            yield warning(("workloadSelector",), "has no effect with resolution NONE; use STATIC")
    if spec.resolution is Resolution.NONE and spec.endpoints:
        yield error(("endpoints",), "need resolution STATIC or DNS; resolution is NONE (the default)")
    elif spec.resolution is Resolution.DYNAMIC_DNS:
        yield from _check_dynamic(spec)
    else:
        yield from _check_endpoints(spec)
    yield from check_export_to(spec.export_to, metadata.namespace, none_allowed=True)


def _check_hosts(spec: ServiceEntry) -> Iterator[Finding]:
    if not spec.hosts:
        yield error(("hosts",), "needs at least one host")
    for index, host in enumerate(spec.hosts):
        at = ("hosts", index)
        if host == "*":
            yield error(at, "'*' would be every host; name hosts, or a wildcard such as *.example.com")
        elif "*" in host and not host.startswith("*.") and spec.resolution is not Resolution.DYNAMIC_DNS:
            yield warning(at, f"{host!r} is a partial wildcard; only *.example.com works everywhere")
    if spec.resolution is Resolution.NONE or len(spec.hosts) < 2:
        return
    for index, port in enumerate(spec.ports):
        if not protocol.is_http(port.protocol) and not protocol.is_tls(port.protocol):
            yield error(("ports", index, "protocol"), "several hosts can only be told apart with HTTP or TLS protocols")


def _check_ports(spec: ServiceEntry) -> Iterator[Finding]:
    numbers: dict[int, int] = {}
    names: dict[str, int] = {}
    for index, port in enumerate(spec.ports):
        at = ("ports", index)
        yield from check_port_name(port.name, (*at, "name"))
        if names.setdefault(port.name, index) != index:
            yield error((*at, "name"), f"{port.name!r} is already the name of ports[{names[port.name]}]")
        if numbers.setdefault(port.number, index) != index:
            yield error((*at, "number"), f"{port.number} is already the number of ports[{numbers[port.number]}]")
        if port.protocol and not protocol.is_known(port.protocol):
            yield error((*at, "protocol"), f"must be one of {', '.join(sorted(protocol.KNOWN))}, got {port.protocol!r}")


def _check_endpoints(spec: ServiceEntry) -> Iterator[Finding]:
    """Endpoints under STATIC and the DNS resolutions."""
    by_dns = spec.resolution in DNS
    ports = [port.name for port in spec.ports]
    for index, endpoint in enumerate(spec.endpoints):
        at = ("endpoints", index)
        yield from check_endpoint(endpoint, at, service_ports=ports, names_allowed=by_dns)
        if by_dns and endpoint.address.startswith("unix:"):
            yield error((*at, "address"), f"resolution {spec.resolution} needs a DNS name or an IP address; use STATIC")
    if spec.resolution is Resolution.DNS_ROUND_ROBIN and len(spec.endpoints) > 1:
        yield error(("endpoints",), f"resolution DNS_ROUND_ROBIN takes one endpoint at most, got {len(spec.endpoints)}")
    if by_dns and not spec.endpoints:
        for index, host in enumerate(spec.hosts):
            if not syntax.is_fqdn(host):
                yield error(
                    ("hosts", index), f"{host!r} cannot be looked up; name endpoints, or use resolution DYNAMIC_DNS"
                )


def _check_dynamic(spec: ServiceEntry) -> Iterator[Finding]:
    for index, host in enumerate(spec.hosts):
        if not host.startswith("*"):
            yield error(("hosts", index), f"resolution DYNAMIC_DNS needs wildcard hosts, got {host!r}; use DNS")
    for name in ("addresses", "endpoints"):
        if getattr(spec, name):
            yield error((name,), "must be left out with resolution DYNAMIC_DNS, which looks up the requested host")
    for index, port in enumerate(spec.ports):
        if port.protocol.upper() not in DYNAMIC_PROTOCOLS:
            allowed = ", ".join(DYNAMIC_PROTOCOLS)
            yield error(("ports", index, "protocol"), f"must be one of {allowed} with resolution DYNAMIC_DNS")
