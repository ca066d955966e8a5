"""Where mutual TLS is: which chains a port has by what its workload accepts, and whom clients expect."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final, NamedTuple

from mizzen.api.security import MutualTLSMode
from mizzen.pilot.base.meshconfig import MIXER_TLS
from mizzen.pilot.base.protocol import Protocol
from mizzen.pilot.generate.tcp import RAW, ChainMatch
from mizzen.pilot.generate.tls import BYTES, HTTP
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.peerauth import TLS_MODE
from mizzen.pilot.snapshot.service import Endpoint, Port, Service
from mizzen.pilot.snapshot.staging import Place

TLS: Final = "tls"
SERVICE_ACCOUNT: Final = "default"
"""Of pods that name none."""


class Way(NamedTuple):
    """One filter chain of a port: which connections it takes, and how it treats them."""

    match: ChainMatch
    http: bool
    """It speaks HTTP; else it carries bytes."""
    ends_tls: bool = False


def ways(mode: MutualTLSMode, protocol: Protocol, port: int, plain_http: tuple[str, ...]) -> list[Way]:
    """The chains of a port. `plain_http` is what the HTTP inspector calls HTTP that is to be taken as such."""
    encrypted = ChainMatch(port=port, transport=TLS)
    plain = ChainMatch(port=port, transport=RAW)
    of_mesh = replace(encrypted, protocols=(*HTTP, *BYTES))
    sniffed = replace(plain, protocols=plain_http)
    http = protocol.is_http
    found: list[Way] = []
    if protocol is not Protocol.UNSUPPORTED:
        if mode is MutualTLSMode.STRICT:
            return [Way(encrypted, http, ends_tls=True)]
        if mode is MutualTLSMode.PERMISSIVE:
            found.append(Way(of_mesh, http, ends_tls=True))
            found += [] if http else [Way(encrypted, http=False)]
        return [*found, Way(plain, http)]
    if mode is not MutualTLSMode.DISABLE:
        found.append(Way(replace(encrypted, protocols=HTTP), http=True, ends_tls=True))
    if mode is MutualTLSMode.STRICT:
        return [*found, Way(encrypted, http=False, ends_tls=True)]
    found.append(Way(sniffed, http=True))
    if mode is MutualTLSMode.PERMISSIVE:
        found.append(Way(replace(encrypted, protocols=BYTES), http=False, ends_tls=True))
        found.append(Way(encrypted, http=False))
    return [*found, Way(plain, http=False)]


def identities(mesh: Mesh, service: Service) -> tuple[str, ...]:
    """Who may stand for a service: what it states, else the service accounts of its endpoints, in all trust domains.

    Mixer takes mutual TLS on one of its ports, and so does not say that it takes it.
    """
    if service.subject_alt_names:
        return service.subject_alt_names
    known = mesh.endpoints.get(service.key, ())
    if service.hostname not in mesh.settings.secure_mixer_hosts:
        known = tuple(each for each in known if TLS_MODE in each.labels)
    return tuple(sorted({name for each in known for name in _identities(mesh, each)}))


def is_required(mesh: Mesh, service: Service, port: Port) -> bool:
    """Whether clients speak mutual TLS on this port whatever is said of its endpoints: it is Mixer's."""
    return str(port.number) == MIXER_TLS and service.hostname in mesh.settings.secure_mixer_hosts


def capable(mesh: Mesh, endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """The same endpoints, of which those that accept no mutual TLS, or not yet, do not say that they would."""
    if not mesh.peers.policies and not mesh.staging:
        return tuple(endpoints)
    return tuple(_without_tls(each) if _refuses(mesh, each) else each for each in endpoints)


def _identities(mesh: Mesh, endpoint: Endpoint) -> list[str]:
    account = endpoint.service_account or SERVICE_ACCOUNT
    return [f"spiffe://{each}/ns/{endpoint.namespace}/sa/{account}" for each in mesh.settings.trust_domains]


def _refuses(mesh: Mesh, endpoint: Endpoint) -> bool:
    if TLS_MODE not in endpoint.labels:
        return False
    step = mesh.staging.get(Place(endpoint.address, endpoint.port))
    if step is not None:
        return not step.offered
    return mesh.peers.of(endpoint.namespace, endpoint.labels).on(endpoint.port) is MutualTLSMode.DISABLE


def _without_tls(endpoint: Endpoint) -> Endpoint:
    return replace(endpoint, labels=endpoint.labels - {TLS_MODE})
