"""Listeners of our Gateways: which are served, by what name the mesh knows them, and which routes they take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mizzen.api import gateway as istio
from mizzen.api.gatewayapi import GROUP
from mizzen.api.gatewayapi.gateway import FromNamespaces, Gateway, LabelSelector, Listener, Operator, TLSMode
from mizzen.api.resource import Metadata, Resource
from mizzen.pilot.base.condition import Condition
from mizzen.pilot.base.gatewaystate import ACCEPTED, NO_CONFLICT, PROGRAMMED, RESOLVED
from mizzen.pilot.snapshot.gatewayapi.certificates import Certificates

SELECTOR = {"istio": "ingressgateway"}
"""The proxies that serve Gateways of our classes."""
KINDS = ("HTTPRoute", "GRPCRoute")
"""What listeners can take."""
SECURE = frozenset({"HTTPS", "TLS"})
"""Protocols that can share a port: clients say a name first."""
NOT_PROGRAMMED = Condition("Programmed", False, "Invalid")
Namespaces = Mapping[str, Mapping[str, str]]
"""Labels of namespaces."""


class Point(NamedTuple):
    """Where listeners of several Gateways meet."""

    port: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Place:
    """A listener of a Gateway, and what is true of it."""

    gateway: Resource[Gateway]
    listener: Listener
    kinds: tuple[str, ...]
    conditions: tuple[Condition, ...]
    credentials: tuple[str, ...] = ()
    """Of the certificates that it shows."""

    @property
    def is_served(self) -> bool:
        return PROGRAMMED in self.conditions

    @property
    def point(self) -> Point:
        return Point(self.listener.port, self.listener.protocol)

    @property
    def hostname(self) -> str:
        return (self.listener.hostname or "*").lower()

    @property
    def name(self) -> str:
        """Of the Gateway that stands for it."""
        return f"{self.gateway.metadata.name}~{self.listener.name}"

    @property
    def reference(self) -> str:
        """What routes name it by."""
        return f"{self.gateway.metadata.namespace}/{self.name}"

    def takes(self, kind: str, namespace: str, namespaces: Namespaces) -> bool:
        """Whether a route of this kind and namespace may attach."""
        if kind not in self.kinds:
            return False
        allowed = self.listener.allowed_routes.namespaces
        if allowed.from_ is FromNamespaces.ALL:
            return True
        if allowed.from_ is FromNamespaces.SAME:
            return namespace == self.gateway.metadata.namespace
        if allowed.from_ is FromNamespaces.NONE or allowed.selector is None:
            return False
        labels = {"kubernetes.io/metadata.name": namespace, **namespaces.get(namespace, {})}
        return selects(allowed.selector, labels)


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether these labels meet all conditions."""
    if any(labels.get(name) != value for name, value in selector.match_labels.items()):
        return False
    for wanted in selector.match_expressions:
        is_there = wanted.key in labels
        is_listed = labels.get(wanted.key) in wanted.values
        holds = {
            Operator.IN: is_there and is_listed,
            Operator.NOT_IN: not is_listed,
            Operator.EXISTS: is_there,
            Operator.DOES_NOT_EXIST: not is_there,
        }
        if not holds[wanted.operator]:
            return False
    return True


def places(gateway: Resource[Gateway], shown: Certificates) -> tuple[Place, ...]:
    """The listeners of a Gateway of ours."""
    spoken: dict[int, set[str]] = {}
    for listener in gateway.spec.listeners:
        spoken.setdefault(listener.port, set()).add(listener.protocol)
    return tuple(_place(gateway, listener, spoken[listener.port], shown) for listener in gateway.spec.listeners)


def _place(gateway: Resource[Gateway], listener: Listener, on_port: Iterable[str], shown: Certificates) -> Place:
    asked = listener.allowed_routes.kinds
    kinds = tuple(kind for kind in KINDS if not asked or any(entry.kind == kind for entry in asked))
    if listener.protocol not in ("HTTP", "HTTPS"):
        kinds = ()
    accepted, conflicted, resolved = _accepted(listener), _conflicted(listener, on_port), _resolved(listener)
    found: tuple[str, ...] | Condition = ()
    if listener.protocol == "HTTPS" and accepted.status:
        found = shown.resolve(listener, gateway.metadata.namespace)
    if isinstance(found, Condition):
        resolved = found
    is_served = accepted.status and not conflicted.status and bool(kinds) and not isinstance(found, Condition)
    programmed = PROGRAMMED if is_served else NOT_PROGRAMMED
    conditions = (accepted, conflicted, resolved, programmed)
    return Place(gateway, listener, kinds, conditions, () if isinstance(found, Condition) else found)


def _accepted(listener: Listener) -> Condition:
    tls = listener.tls
    if listener.protocol == "TLS":
        message = "TLS is not served, HTTP and HTTPS are; Istio's Gateway can pass TLS on"
        return Condition("Accepted", False, "UnsupportedProtocol", message)
    if listener.protocol not in ("HTTP", "HTTPS"):
        message = f"{listener.protocol} is not served, HTTP and HTTPS are"
        return Condition("Accepted", False, "UnsupportedProtocol", message)
    if tls is not None and tls.mode is not TLSMode.TERMINATE:
        message = f"tls.mode {tls.mode} is not served for {listener.protocol}, {TLSMode.TERMINATE} is"
        return Condition("Accepted", False, "UnsupportedValue", message)
    if tls is not None and tls.options:
        # One of them may ask clients for certificates: to serve everybody would be worse than to serve nobody.
        message = f"tls.options are not known by this version: {', '.join(sorted(tls.options))}"
        return Condition("Accepted", False, "UnsupportedValue", message)
    return ACCEPTED


def _conflicted(listener: Listener, on_port: Iterable[str]) -> Condition:
    together = SECURE if listener.protocol in SECURE else {listener.protocol}
    others = sorted(set(on_port) - together)
    if not others:
        return NO_CONFLICT
    message = f"port {listener.port} is also one for {', '.join(others)}"
    return Condition("Conflicted", True, "ProtocolConflict", message)


def _resolved(listener: Listener) -> Condition:
    """Of the kinds that may attach."""
    asked = listener.allowed_routes.kinds
    wrong = [entry.kind for entry in asked if entry.group != GROUP or entry.kind not in KINDS]
    if not wrong:
        return RESOLVED
    message = f"{', '.join(wrong)} cannot attach; {', '.join(KINDS)} can"
    return Condition("ResolvedRefs", False, "InvalidRouteKinds", message)


def as_istio(place: Place) -> Resource[istio.Gateway]:
    """The Gateway that stands for a listener in the mesh."""
    listener, metadata = place.listener, place.gateway.metadata
    port = istio.Port(number=listener.port, protocol=listener.protocol, name=listener.name)
    server = istio.Server(port=port, hosts=(place.hostname,), tls=_tls(place.credentials))
    named = Metadata(name=place.name, namespace=metadata.namespace, creation_timestamp=metadata.creation_timestamp)
    return Resource("networking.istio.io/v1", "Gateway", named, istio.Gateway(servers=(server,), selector=SELECTOR))


def _tls(credentials: tuple[str, ...]) -> istio.ServerTLSSettings | None:
    if not credentials:
        return None
    mode = istio.ServerTLSMode.SIMPLE
    if len(credentials) == 1:
        return istio.ServerTLSSettings(mode=mode, credential_name=credentials[0])
    return istio.ServerTLSSettings(mode=mode, credential_names=credentials)
