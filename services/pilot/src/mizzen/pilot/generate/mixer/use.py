"""Whether and how one proxy uses Mixer, decided by the mesh's settings, its policy and the pod's annotation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mizzen.api.mixer.binding import HTTPAPISpec, QuotaSpec
from mizzen.api.resource import Resource
from mizzen.pilot.generate import names
from mizzen.pilot.generate.mixer.attributes import Attributes, client_attributes, uid
from mizzen.pilot.generate.node import Node


class Side(Enum):
    """Where requests are when the proxy has them."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Use:
    """One side of one proxy, or one filter chain of it."""

    own: bool
    """Our proxy, with its own filter; otherwise a stock Envoy."""
    side: Side
    check_cluster: str
    report_cluster: str
    """Empty clusters are not used."""
    checks: bool
    http_reports: bool
    fail_open: bool
    uid: str
    attributes: Attributes = ()
    service: Attributes = ()
    """Of the service that the chain is for, where it is for one."""
    quotas: tuple[Resource[QuotaSpec], ...] = ()
    apis: tuple[Resource[HTTPAPISpec], ...] = ()
    request_headers: tuple[str, ...] = ()
    response_headers: tuple[str, ...] = ()
    """Headers that rules read, which Envoy is to be told of."""


@dataclass(frozen=True, slots=True)
class RouteUse:
    """What routes of RDS say; the same for every sidecar, so that those share what is generated."""

    own: bool
    checks: bool
    reports: bool
    attributes: Attributes = ()
    """Of the proxy: for a stock Envoy, whose filter cannot state any."""


def use(node: Node, side: Side) -> Use | None:
    """None where Mixer has no part: it is not configured, or the client is gRPC's own."""
    settings = node.mesh.settings
    check, report = cluster(settings.mixer_check_server), cluster(settings.mixer_report_server)
    if not (check or report) or node.proxy.generator == "grpc":
        return None
    policy = node.mesh.policy
    return Use(
        own=node.proxy.mizzen,
        side=side,
        check_cluster=check,
        report_cluster=report,
        checks=bool(check) and _checks(node, side),
        http_reports=bool(report) and not settings.disable_mixer_http_reports,
        fail_open=node.proxy.policy_check == "allow-on-error" or settings.policy_check_fail_open,
        uid=uid(node.proxy),
        request_headers=() if node.proxy.mizzen else policy.request_headers,
        response_headers=() if node.proxy.mizzen else policy.response_headers,
    )


def route_use(node: Node, side: Side) -> RouteUse | None:
    """For routes of RDS, which a stock Envoy's sidecar has no use for: it checks at the server only."""
    found = use(node, side)
    if found is None or (not found.own and side is Side.OUTBOUND):
        return None
    attributes = () if found.own else client_attributes(node.proxy)
    return RouteUse(found.own, found.checks, found.http_reports, attributes)


def cluster(server: str) -> str:
    """The cluster of a server `<host>:<port>`; empty for none."""
    host, _, port = server.rpartition(":")
    return names.outbound(int(port), "", host) if server else ""


def _checks(node: Node, side: Side) -> bool:
    settings = node.mesh.settings
    if node.proxy.policy_check:
        return node.proxy.policy_check != "disable"
    if side is Side.OUTBOUND and not settings.enable_client_side_policy_check:
        return False
    if settings.disable_policy_checks is None:
        return node.mesh.policy.decides
    return not settings.disable_policy_checks
