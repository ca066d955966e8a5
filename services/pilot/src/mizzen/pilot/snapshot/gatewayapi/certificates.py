"""Certificates of HTTPS listeners: Secrets that are there, good, and may be referred to.

Pilot gives a proxy what the Gateways that it translated name, wherever that is: whether they may is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mizzen.api.gatewayapi.gateway import Listener
from mizzen.api.gatewayapi.reference import SecretObjectReference
from mizzen.api.kubernetes import Secret
from mizzen.api.resource import Resource
from mizzen.pilot.base.condition import Condition
from mizzen.pilot.snapshot import credentials
from mizzen.pilot.snapshot.credentials import CA_SUFFIX, QUALIFIED, Pair, Resources, UnusableCredential
from mizzen.pilot.snapshot.gatewayapi.grants import CORE, Grants
from mizzen.pilot.snapshot.select import of_kind

INVALID: Final = "InvalidCertificateRef"


@dataclass(frozen=True)
class Certificates:
    """What listeners may show."""

    secrets: Resources
    grants: Grants

    def resolve(self, listener: Listener, namespace: str) -> tuple[str, ...] | Condition:
        """The credentials of a listener of a Gateway of this namespace, or why it has none."""
        references = listener.tls.certificate_refs if listener.tls is not None else ()
        if not references:
            return _fault(INVALID, "tls.certificateRefs must name a Secret")
        found = []
        for reference in references:
            credential = self._credential(reference, namespace)
            if isinstance(credential, Condition):
                return credential
            found.append(credential)
        return tuple(found)

    def _credential(self, reference: SecretObjectReference, namespace: str) -> str | Condition:
        name, place = reference.name, reference.namespace or namespace
        if reference.group not in CORE or reference.kind != "Secret":
            return _fault(INVALID, f"{reference.kind} {name} cannot be a certificate; Secrets can")
        if not self.grants.permit(("Gateway", namespace), ("Secret", place, name)):
            message = f"no ReferenceGrant of {place} lets a Gateway of {namespace} refer to Secret {name}"
            return _fault("RefNotPermitted", message)
        credential = f"{QUALIFIED}{place}/{name}"
        try:
            found = credentials.read(credentials.place(credential, place), self.secrets)
        except UnusableCredential as error:
            return _fault(INVALID, str(error))
        if not isinstance(found, Pair):
            return _fault(INVALID, f"Secret {place}/{name}: names that end with {CA_SUFFIX} are those of authorities")
        return credential


def certificates(resources: Iterable[Resource], grants: Grants) -> Certificates:
    """Of all Secrets."""
    return Certificates({secret.key: secret for secret in of_kind(resources, Secret)}, grants)


def _fault(reason: str, message: str) -> Condition:
    return Condition("ResolvedRefs", False, reason, message)
