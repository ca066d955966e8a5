"""Listeners of our Gateways: which are served, by what name the mesh knows them, and which routes they take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mizzen.api import gateway as istio
from mizzen.api.gatewayapi import GROUP
from mizzen.api.gatewayapi.gateway import FromNamespaces, Gateway, LabelSelector, Listener, Operator
from mizzen.api.resource import Metadata, Resource
from mizzen.pilot.base.condition import Condition
from mizzen.pilot.base.gatewaystate import ACCEPTED, NO_CONFLICT, PROGRAMMED, RESOLVED

SELECTOR = {"istio": "ingressgateway"}
"""The proxies that serve Gateways of our classes."""
KINDS = ("HTTPRoute", "GRPCRoute")
"""What HTTP listeners can take."""
Namespaces = Mapping[str, Mapping[str, str]]
"""Labels of namespaces."""


@dataclass(frozen=True, slots=True)
class Place:
    """A listener of a Gateway, and what is true of it."""

    gateway: Resource[Gateway]
    listener: Listener
    kinds: tuple[str, ...]
    conditions: tuple[Condition, ...]

    @property
    def is_served(self) -> bool:
        return PROGRAMMED in self.conditions

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


def places(gateway: Resource[Gateway]) -> tuple[Place, ...]:
    """The listeners of a Gateway of ours."""
    spoken: dict[int, set[str]] = {}
    for listener in gateway.spec.listeners:
        spoken.setdefault(listener.port, set()).add(listener.protocol)
    return tuple(_place(gateway, listener, spoken[listener.port]) for listener in gateway.spec.listeners)


def _place(gateway: Resource[Gateway], listener: Listener, on_port: Iterable[str]) -> Place:
    asked = listener.allowed_routes.kinds
    wrong = [entry.kind for entry in asked if entry.group != GROUP or entry.kind not in KINDS]
    kinds = tuple(kind for kind in KINDS if not asked or any(entry.kind == kind for entry in asked))
    if listener.protocol != "HTTP":
        kinds = ()
    accepted, conflicted = _accepted(listener), NO_CONFLICT
    others = sorted(set(on_port) - {listener.protocol})
    if others:
        message = f"port {listener.port} is also one for {', '.join(others)}"
        conflicted = Condition("Conflicted", True, "ProtocolConflict", message)
    resolved = RESOLVED
    if wrong:
        message = f"{', '.join(wrong)} cannot attach; {', '.join(KINDS)} can"
        resolved = Condition("ResolvedRefs", False, "InvalidRouteKinds", message)
    is_served = accepted.status and not conflicted.status and bool(kinds)
    programmed = PROGRAMMED if is_served else Condition("Programmed", False, "Invalid")
    return Place(gateway, listener, kinds, (accepted, conflicted, resolved, programmed))


def _accepted(listener: Listener) -> Condition:
    if listener.protocol == "HTTP":
        return ACCEPTED
    message = f"{listener.protocol} is not served, HTTP alone is"
    if listener.protocol in ("HTTPS", "TLS"):
        message = f"{listener.protocol} is not served by this version; Istio's Gateway can have certificates in files"
    return Condition("Accepted", False, "UnsupportedProtocol", message)


def as_istio(place: Place) -> Resource[istio.Gateway]:
    """The Gateway that stands for a listener in the mesh."""
    listener, metadata = place.listener, place.gateway.metadata
    server = istio.Server(
        port=istio.Port(number=listener.port, protocol="HTTP", name=listener.name), hosts=(place.hostname,)
    )
    named = Metadata(name=place.name, namespace=metadata.namespace, creation_timestamp=metadata.creation_timestamp)
    return Resource("networking.istio.io/v1", "Gateway", named, istio.Gateway(servers=(server,), selector=SELECTOR))
