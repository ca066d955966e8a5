"""Formats of cluster, listener and route names, and their inverse."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

BLACK_HOLE = "BlackHoleCluster"
PASSTHROUGH = "PassthroughCluster"
INBOUND_PASSTHROUGH = "InboundPassthroughCluster"
VIRTUAL_OUTBOUND = "virtualOutbound"
VIRTUAL_INBOUND = "virtualInbound"
HTTP_PROXY_ROUTE = "http_proxy"


class ClusterName(NamedTuple):
    """`<direction>|<port>|<subset>|<host>`, or with `_.` in place of `|`, as SNI has it."""

    direction: str
    port: int
    subset: str
    host: str
    passed: bool = False
    """Its connections are in mutual TLS, which the client speaks with the endpoint (AUTO_PASSTHROUGH)."""

    def __str__(self) -> str:
        divider = "_." if self.passed else "|"
        return divider.join((self.direction, str(self.port), self.subset, self.host))


def outbound(port: int, subset: str, host: str) -> str:
    """The cluster of a service port, or of a subset of it."""
    return str(ClusterName("outbound", port, subset, host))


def inbound(target_port: int) -> str:
    """The cluster, and the route configuration, of a port of the proxy's own application."""
    return str(ClusterName("inbound", target_port, "", ""))


def parse_cluster(name: str) -> ClusterName | None:
    """The parts of a cluster name; None when it is not one."""
    passed = "|" not in name
    parts = name.split("_.", 3) if passed else name.split("|")
    if len(parts) != 4 or parts[0] not in ("outbound", "inbound") or not parts[1].isdecimal():
        return None
    return ClusterName(parts[0], int(parts[1]), parts[2], parts[3], passed)


@lru_cache(maxsize=1 << 17)
def host_of(name: str) -> str:
    """The host of a cluster; what is no name of a cluster stands for itself.

    Remembered, since a change of endpoints asks it of every name that every client watches.
    """
    cluster = parse_cluster(name)
    return cluster.host if cluster is not None else name


def server_name(port: int, subset: str, host: str) -> str:
    """The SNI by which a mutual TLS connection names its cluster."""
    return str(ClusterName("outbound", port, subset, host, passed=True))


def listener(address: str, port: int) -> str:
    """A listener bound to an address."""
    return f"{address}_{port}"


def gateway_route(port: int, bind: str = "") -> str:
    """The route configuration of a gateway's plain HTTP port; `bind` only when the server states one."""
    return f"http.{port}.{bind}" if bind else f"http.{port}"


def secure_gateway_route(port: int, port_name: str, gateway: str, bind: str = "") -> str:
    """The route configuration of one HTTPS server of a gateway, which is `<namespace>/<name>`."""
    namespace, _, name = gateway.partition("/")
    return ".".join(("https", str(port), port_name, name, namespace, *([bind] if bind else ())))


def parse_gateway_route(name: str) -> tuple[int, str] | None:
    """Port and bind of a gateway's route configuration; None when it is not one."""
    kind, _, rest = name.partition(".")
    port, _, bind = rest.partition(".")
    return (int(port), bind) if kind == "http" and port.isdecimal() else None


def parse_sniffed_route(name: str) -> tuple[str, int] | None:
    """Host and port of a route configuration `<host>:<port>`; None when it is not one."""
    host, found, port = name.rpartition(":")
    return (host, int(port)) if found and host and port.isdecimal() else None
