"""WorkloadEntry, alone or as an endpoint of a ServiceEntry."""

from collections.abc import Collection, Iterator

from mizzen.api import syntax
from mizzen.api.problem import Path
from mizzen.api.resource import Metadata
from mizzen.api.rules import Finding, check_labels, check_port_name, error, warning
from mizzen.api.workloadentry import WorkloadEntry


def check(spec: WorkloadEntry, metadata: Metadata) -> Iterator[Finding]:
    """All rules of a WorkloadEntry that stands alone."""
    yield from check_endpoint(spec, ())


def check_endpoint(
    entry: WorkloadEntry, at: Path, *, service_ports: Collection[str] | None = None, names_allowed: bool = True
) -> Iterator[Finding]:
    """The address and ports of an endpoint.

    `service_ports` are the names of the ServiceEntry's ports (None: unknown). Without `names_allowed` the address must
    be an IP address or a Unix socket.
    """
    path = (*at, "address")
    if not entry.address:
        if entry.network:
            yield warning(
                path, f"is unset: the endpoint is only reachable through the gateway of network {entry.network!r}"
            )
        else:
            yield error(path, "is required: an IP address, a DNS name or unix:///path")
    elif entry.address.startswith(syntax.UNIX):
        yield from _check_socket(entry, at, service_ports)
    elif not syntax.is_address(entry.address):
        if not names_allowed:
            yield error(
                path, f"{entry.address!r} is not an IP address, which resolution STATIC needs; use DNS for names"
            )
        elif not syntax.is_fqdn(entry.address):
            yield error(path, f"{entry.address!r} is not an IP address, a DNS name or unix:///path")
    for name in entry.ports:
        yield from check_port_name(name, (*at, "ports", name))
        if service_ports is not None and name not in service_ports:
            yield error(
                (*at, "ports", name), f"the ServiceEntry has no port of this name (it has {', '.join(service_ports)})"
            )
    yield from check_labels(entry.labels, (*at, "labels"))


def _check_socket(entry: WorkloadEntry, at: Path, service_ports: Collection[str] | None) -> Iterator[Finding]:
    if not syntax.is_socket_path(entry.address.removeprefix(syntax.UNIX)):
        yield error((*at, "address"), f"{entry.address!r} is not unix:// with an absolute path of a file")
    if entry.ports:
        yield error((*at, "ports"), "must be left out: the address is a Unix socket")
    if service_ports is not None and len(service_ports) != 1:
        yield error(
            (*at, "address"), f"a Unix socket needs a ServiceEntry with one port, this has {len(service_ports)}"
        )
