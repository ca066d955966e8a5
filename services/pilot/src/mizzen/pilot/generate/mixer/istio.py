"""The filters `mixer` of our own proxy, with the messages of Istio 1.0 to 1.4."""

from __future__ import annotations

from typing import Any

from mizzen.pilot.generate.mixer.attributes import Attributes, message
from mizzen.pilot.generate.mixer.use import Side, Use
from mizzen.pilot.snapshot.policy import message_of
from mizzen.proto import mixer_client_pb2 as pb

FILTER = "mixer"
"""Name of the HTTP filter, of the network filter, and key of a route's configuration."""
DEFAULT = "default"
"""The service of requests whose route names none."""


def http_client(use: Use) -> Any:
    """Configuration of the HTTP filter. What clients outside the mesh say of themselves is not believed."""
    found = pb.HttpClientConfig(
        transport=_transport(use),
        default_destination_service=DEFAULT,
        mixer_attributes=message(use.attributes),
        ignore_forwarded_attributes=use.side is Side.GATEWAY,
    )
    found.service_configs[DEFAULT].CopyFrom(_switches(checks=use.checks, reports=use.http_reports))
    if use.side is not Side.INBOUND:
        found.forward_attributes.CopyFrom(message((("source.uid", use.uid),)))
    return found


def tcp_client(use: Use) -> Any:
    """Configuration of the network filter."""
    return pb.TcpClientConfig(
        transport=_transport(use),
        mixer_attributes=message((*use.attributes, *use.service)),
        disable_check_calls=not use.checks,
        disable_report_calls=not use.report_cluster,
    )


def inbound_service(use: Use) -> Any:
    """The route configuration of requests to the own application."""
    found = _switches(checks=use.checks, reports=use.http_reports)
    found.mixer_attributes.CopyFrom(message(use.service))
    found.http_api_spec.extend(map(message_of, use.apis))
    found.quota_spec.extend(map(message_of, use.quotas))
    return found


def outbound_service(service: Attributes, *, checks: bool, reports: bool) -> Any:
    """The route configuration of requests to a service, which its proxy is told of as well."""
    found = _switches(checks=checks, reports=reports)
    found.mixer_attributes.CopyFrom(message(service))
    found.forward_attributes.CopyFrom(message(service))
    return found


def _switches(*, checks: bool, reports: bool) -> Any:
    return pb.ServiceConfig(disable_check_calls=not checks, disable_report_calls=not reports)


def _transport(use: Use) -> Any:
    policy = pb.NetworkFailPolicy.FAIL_OPEN if use.fail_open else pb.NetworkFailPolicy.FAIL_CLOSE
    return pb.TransportConfig(
        network_fail_policy=pb.NetworkFailPolicy(policy=policy),
        check_cluster=use.check_cluster,
        report_cluster=use.report_cluster,
        attributes_for_mixer_proxy=message((("source.uid", use.uid),)),
    )
