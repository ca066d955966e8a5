"""Where Gateways of the Gateway API are reached, by the Services of their proxies."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from mizzen.api.parse import parse
from mizzen.pilot.base.gatewaystate import Address
from mizzen.pilot.snapshot.gatewayapi.addresses import Exposure, exposure

SELECTOR = {"istio": "ingressgateway", "app": "istio-ingressgateway"}
NAME = "edge.istio-system.svc.cluster.local"


def service(name: str = "edge", status: Any = None, **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http2", "port": 80}, {"name": "https", "port": 443}]
    item: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "istio-system"},
        "spec": {"selector": SELECTOR, "ports": ports} | spec,
    }
    return item if status is None else item | {"status": status}


def balanced(*ingress: dict[str, str]) -> dict[str, Any]:
    return service(type="LoadBalancer", status={"loadBalancer": {"ingress": list(ingress)} if ingress else {}})


def exposed(*items: dict[str, Any]) -> Exposure:
    parsed = parse(yaml.safe_dump_all(items))
    assert not parsed.problems, parsed.problems
    return exposure(parsed.resources, "cluster.local")


@pytest.mark.parametrize(
    ("items", "addresses", "condition"),
    [
        ([], [], "True Programmed"),
        ([service(selector={"app": "other"})], [], "True Programmed"),
        ([service()], [f"Hostname {NAME}"], "True Programmed"),
        ([service(externalIPs=["192.0.2.9"])], ["IPAddress 192.0.2.9"], "True Programmed"),
        ([balanced()], [], f"False AddressNotAssigned: address pending for hostname {NAME}"),
        ([balanced({"ip": "192.0.2.1"})], ["IPAddress 192.0.2.1"], "True Programmed"),
        ([balanced({"hostname": "lb.example"})], ["Hostname lb.example"], "True Programmed"),
        (
            [balanced({"ip": "192.0.2.1"}, {"ip": "192.0.2.2"}), service("inside")],
            ["IPAddress 192.0.2.1", "IPAddress 192.0.2.2"],
            "True Programmed",
        ),
        (
            [service(ports=[{"port": 443}])],
            [f"Hostname {NAME}"],
            f"False AddressNotUsable: port 80 not found for hostname {NAME}",
        ),
    ],
)
def test_addresses(items: list[dict[str, Any]], addresses: list[str], condition: str) -> None:
    found = exposed(*items)
    assert [f"{address.type} {address.value}" for address in found.addresses] == addresses
    programmed = found.programmed({80})
    stated = f"{programmed.status} {programmed.reason}"
    assert (f"{stated}: {programmed.message}" if programmed.message else stated) == condition


def test_addresses_are_bounded_and_stand_once() -> None:
    many = [{"ip": f"192.0.2.{number // 2}"} for number in range(100)]
    assert exposed(balanced(*many)).addresses == tuple(Address("IPAddress", f"192.0.2.{n}") for n in range(16))
