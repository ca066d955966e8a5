"""Who is let in by an AuthorizationPolicy: visitors with real certificates, and a world for each policy.

The workload has a port for HTTP and one for bytes, takes mutual TLS and plain text, and lets in whom its policy says.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Literal, TypeAlias

from envoy.config.listener.v3 import listener_pb2
from simulation.harness.instrument import inlined
from simulation.harness.world import World, sidecar

from mizzen.identity.certificate import certificate_to_pem
from mizzen.identity.inmemory import load_pair
from mizzen.identity.keys import key_to_pem, new_key
from mizzen.identity.spiffe import SpiffeId
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.ca.authority import Authority, self_signed
from mizzen.proxy.engine.tls_plan import SecretPlan

Speaks: TypeAlias = Literal["http", "tcp"]
PORTS: Mapping[Speaks, int] = {"http": 9080, "tcp": 9000}
HERE = "127.0.0.1"
SNI = "outbound_.9080_._.own.default.svc.cluster.local"
SECONDS = 10
YAML = """
apiVersion: v1
kind: Service
metadata: {{name: own, namespace: default}}
spec:
  selector: {{app: client}}
  ports: [{{name: http, port: {http}}}, {{name: tcp, port: {tcp}}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: policy, namespace: default}}
spec: {{action: {action}, rules: [{rule}]}}
"""
_ALPN: Mapping[Speaks, list[str]] = {"http": ["istio-http/1.1", "istio", "http/1.1"], "tcp": ["istio"]}
_DAY = timedelta(days=1)
MESH = MeshConfig(enable_auto_mtls=True)


@dataclass(frozen=True)
class Visitor:
    """A client, and what it asks for."""

    account: str = ""
    """`namespace/name` that its certificate proves; empty: it speaks plain text."""
    address: str = HERE
    path: str = "/shop/cart?id=1"
    method: str = "GET"
    host: str = "shop.com"
    headers: tuple[tuple[str, str], ...] = ()
    server_name: str = SNI
    trust_domain: str = "cluster.local"

    def __str__(self) -> str:
        default = Visitor()
        said = [f"{name}={value}" for name, value in vars(self).items() if value != getattr(default, name)]
        return ", ".join(said) or "a client of no special kind"


@dataclass(frozen=True)
class Workload:
    """One with one policy."""

    action: str
    rule: str
    """YAML in one line; `{http}` and `{tcp}` in it stand for the ports."""
    ports: Mapping[Speaks, int] = field(default_factory=lambda: PORTS)
    settings: MeshConfig = MESH

    @property
    def name(self) -> str:
        special = "" if self.settings == MESH else f" {self.settings.path_normalization}"
        return f"{self.action} {self.rule}{special}"

    @cached_property
    def world(self) -> World:
        """What Pilot makes of it."""
        labels = {"app": "client", "security.istio.io/tlsMode": "istio"}
        proxy = sidecar(LABELS=labels, BIND_ADDRESS=HERE, APP_ADDRESS=HERE)
        rule = self.rule
        for speaks, port in self.ports.items():
            rule = rule.replace(f"{{{speaks}}}", str(port))
        return World(self.name, YAML.format(action=self.action, rule=rule, **self.ports), proxy, self.settings)

    def listener(self, speaks: Speaks) -> listener_pb2.Listener:
        """The inbound one as Pilot makes it, with its routes in it."""
        (made,) = (each for each in self.world.listeners if each.name == f"{HERE}_{self.ports[speaks]}")
        listener = inlined(made, self.world)
        listener.name = f"{self.name} {speaks}"
        return listener

    def port(self, speaks: Speaks) -> int:
        """Where it is to listen: anywhere, unless the rule is about ports."""
        return 0 if self.ports is PORTS else self.ports[speaks]


@dataclass
class Identities:
    """An authority, and the contexts of the visitors that it certifies."""

    authority: Authority = field(default_factory=lambda: self_signed(new_key(), "cluster.local", datetime.now(UTC)))
    _contexts: dict[tuple[str, str, Speaks], ssl.SSLContext] = field(default_factory=dict)

    def secrets(self) -> tuple[SecretPlan, SecretPlan]:
        """What the workload's own proxy has."""
        chain, key = self._certified("default/own", "cluster.local")
        return SecretPlan("default", chain, key), SecretPlan("ROOTCA", roots=self.authority.bundle)

    def context(self, visitor: Visitor, speaks: Speaks) -> ssl.SSLContext:
        """How it shows who it is."""
        key = (visitor.account, visitor.trust_domain, speaks)
        if key not in self._contexts:
            context = ssl.create_default_context(cadata=self.authority.bundle)
            context.check_hostname = False  # the workload's certificate names an identity, no host
            context.set_alpn_protocols(_ALPN[speaks])
            load_pair(context, *self._certified(visitor.account, visitor.trust_domain))
            self._contexts[key] = context
        return self._contexts[key]

    def _certified(self, account: str, trust_domain: str) -> tuple[str, str]:
        namespace, _, name = account.partition("/")
        key = new_key()
        leaf = self.authority.issue(key.public_key(), SpiffeId(trust_domain, namespace, name), _DAY, datetime.now(UTC))
        chain = "".join(map(certificate_to_pem, (leaf, *self.authority.intermediates)))
        return chain, key_to_pem(key)


LetsIn: TypeAlias = Callable[[str, Speaks, Visitor], bool]
"""Whether the named workload does."""


def lets_in(port: int, speaks: Speaks, visitor: Visitor, identities: Identities) -> bool:
    """Ask the workload that listens there. What is neither an answer nor a refusal is an AssertionError."""
    with ExitStack() as stack:
        connection: socket.socket = stack.enter_context(socket.socket())
        connection.settimeout(SECONDS)
        connection.bind((visitor.address, 0))
        connection.connect((HERE, port))
        if visitor.account:
            context = identities.context(visitor, speaks)
            connection = stack.enter_context(
                context.wrap_socket(connection, server_hostname=visitor.server_name or None)
            )
        if speaks == "tcp":
            connection.sendall(b"\x01 neither HTTP nor TLS\r\n")
            return _has_answer(connection)
        connection.sendall(_request(visitor))
        return _is_served(connection)


def _request(visitor: Visitor) -> bytes:
    lines = [f"{visitor.method} {visitor.path} HTTP/1.1", f"host: {visitor.host}"]
    lines += [f"{name}: {value}" for name, value in visitor.headers]
    return "\r\n".join((*lines, "", "")).encode()


def _has_answer(connection: socket.socket) -> bool:
    try:
        return bool(connection.recv(1))
    except (ConnectionResetError, ssl.SSLEOFError):
        return False


def _is_served(connection: socket.socket) -> bool:
    with http.client.HTTPResponse(connection) as response:  # Envoy closes a second later: its length tells the end
        response.begin()
        body = response.read()
    assert response.status in (200, 400, 403), (response.status, body)
    assert response.status != 403 or body == b"RBAC: access denied", body
    return response.status == 200
