"""YAML in, generated resources out, for tests of the snapshot and of generation."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from datetime import UTC, datetime, timedelta
from textwrap import dedent
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from google.protobuf import any_pb2

from mizzen.api.parse import parse
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.base.registry import RegistrySnapshot
from mizzen.pilot.ca.authority import Authority
from mizzen.pilot.generate import typeurls
from mizzen.pilot.generate.api import generate
from mizzen.pilot.generate.cache import Cache
from mizzen.pilot.snapshot.build import build
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.proxy import Proxy

MESSAGES = {
    typeurls.CLUSTER: cluster_pb2.Cluster,
    typeurls.ENDPOINT: endpoint_pb2.ClusterLoadAssignment,
    typeurls.LISTENER: listener_pb2.Listener,
    typeurls.ROUTE: route_pb2.RouteConfiguration,
}


class CheckedCache(Cache):
    """Generates again on every hit and compares: inputs that leave something out are found by any test."""

    def get(self, generator: Callable[[Any], Any], inputs: Hashable) -> Any:
        cached = super().get(generator, inputs)
        assert generator(inputs) == cached, f"{generator.__name__} depends on more than its inputs"
        return cached


class World:
    """A mesh, and what proxies get from it as messages by name."""

    def __init__(self, mesh: Mesh, cache: Cache) -> None:
        self.mesh = mesh
        self._cache = cache

    def _get(self, type_url: str, proxy: Proxy, names: Iterable[str] | None) -> dict[str, Any]:
        wanted = None if names is None else frozenset(names)
        made = generate(type_url, proxy, self.mesh, wanted, cache=self._cache)
        assert not made.failures
        found = {**made.resources, **made.substitutes}
        return {name: unpack(type_url, encoded.body) for name, encoded in found.items()}

    def listeners(self, proxy: Proxy, names: Iterable[str] | None = None) -> dict[str, Any]:
        return self._get(typeurls.LISTENER, proxy, names)

    def clusters(self, proxy: Proxy, names: Iterable[str] | None = None) -> dict[str, Any]:
        return self._get(typeurls.CLUSTER, proxy, names)

    def routes(self, proxy: Proxy, *names: str) -> dict[str, Any]:
        return self._get(typeurls.ROUTE, proxy, names)

    def hosts(self, proxy: Proxy, name: str) -> dict[str, Any]:
        """Virtual hosts of one route configuration."""
        return {host.name: host for host in self.routes(proxy, name)[name].virtual_hosts}

    def endpoints(self, proxy: Proxy, *names: str) -> dict[str, list[tuple[str, int]]]:
        """(address, port) by cluster."""
        return {
            name: [
                (entry.endpoint.address.socket_address.address, entry.endpoint.address.socket_address.port_value)
                for group in message.endpoints
                for entry in group.lb_endpoints
            ]
            for name, message in self._get(typeurls.ENDPOINT, proxy, names).items()
        }

    @property
    def problems(self) -> list[str]:
        return [str(problem) for problem in self.mesh.problems]


def unpack(type_url: str, body: bytes) -> Any:
    packed = any_pb2.Any.FromString(body)
    assert packed.type_url == type_url
    return MESSAGES[type_url].FromString(packed.value)


@pytest.fixture
def world() -> Callable[..., World]:
    """Make a World of YAML texts; fails when a text has an error of its own."""
    cache = CheckedCache()

    def make(*texts: str, settings: MeshConfig | None = None, previous: Mesh | None = None) -> World:
        resources = []
        for text in texts:
            parsed = parse(dedent(text))
            assert not parsed.errors, [str(problem) for problem in parsed.errors]
            resources += parsed.resources
        return World(build(resources, RegistrySnapshot(), previous, "1", settings), cache)

    return make


@pytest.fixture
def sidecar() -> Callable[..., Proxy]:
    """Make a sidecar of node metadata."""

    def make(*, ip: str = "10.0.0.9", namespace: str = "default", **metadata: Any) -> Proxy:
        node = f"sidecar~{ip}~client.{namespace}~{namespace}.svc.cluster.local"
        return Proxy.from_node(node, {"NAMESPACE": namespace, **metadata})

    return make


@pytest.fixture
def router() -> Callable[..., Proxy]:
    """Make an ingress gateway of node metadata."""

    def make(*, namespace: str = "istio-system", **metadata: Any) -> Proxy:
        labels = {"istio": "ingressgateway", "app": "istio-ingressgateway"}
        node = f"router~10.0.0.1~gateway.{namespace}~{namespace}.svc.cluster.local"
        return Proxy.from_node(node, {"NAMESPACE": namespace, "LABELS": labels, **metadata})

    return make


@pytest.fixture
def revoked() -> Callable[..., str]:
    """`revoked(authority, *certificates)`: the list of what this authority has revoked, in PEM."""
    return _revoked


def _revoked(authority: Authority, *certificates: x509.Certificate, ends: timedelta = timedelta(days=1)) -> str:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now - timedelta(days=2))
        .next_update(now + ends)
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    for each in certificates:
        entry = x509.RevokedCertificateBuilder().serial_number(each.serial_number).revocation_date(now)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
