"""What Pilot is told of the hosts: Services with an address of each family, their Pods and EndpointSlices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import yaml
from capture.harness.hosts import Host

WEB, GREETER, UNDECLARED, REDIS = 8080, 2525, 2526, 6379
"""Where the applications listen. The two greeters are one."""


@dataclass(frozen=True)
class Service:
    """A service of one port with one workload behind it."""

    name: str
    port_name: str
    port: int
    target: int
    number: int

    @property
    def ipv4(self) -> str:
        return f"10.96.0.{self.number}"

    @property
    def ipv6(self) -> str:
        return f"fd96::{self.number}"


SERVICES = (
    Service("web", "http", 80, WEB, 1),
    Service("redis", "tcp-redis", 6379, REDIS, 2),
    Service("mail", "tcp-smtp", 25, GREETER, 3),
    Service("odd", "odd", 2526, GREETER, 4),
)


def registry(server: Host, pods: Mapping[str, Host]) -> str:
    """The YAML of it; `server` is the pod behind every service."""
    objects = [_pod(name, host) for name, host in pods.items()]
    for service in SERVICES:
        objects += [_service(service), _slice(service, "IPv4", server.ipv4), _slice(service, "IPv6", server.ipv6)]
    return yaml.safe_dump_all(objects)


def _service(service: Service) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service.name, "namespace": "default"},
        "spec": {
            "selector": {"app": "server"},
            "clusterIP": service.ipv4,
            "clusterIPs": [service.ipv4, service.ipv6],
            "ports": [{"name": service.port_name, "port": service.port, "targetPort": service.target}],
        },
    }


def _pod(name: str, host: Host) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {"serviceAccountName": "default"},
        "status": {
            "phase": "Running",
            "podIP": host.ipv4,
            "podIPs": [{"ip": host.ipv4}, {"ip": host.ipv6}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def _slice(service: Service, family: str, address: str) -> dict:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service.name}-{family.lower()}",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": service.name},
        },
        "addressType": family,
        "ports": [{"name": service.port_name, "port": service.target, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "namespace": "default", "name": "server"},
            }
        ],
    }
