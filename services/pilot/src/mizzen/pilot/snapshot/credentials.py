"""Credentials of gateways: how servers name them, which Secret that is, and what is good in it. Names are Istio's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from mizzen.api.gateway import Gateway, ServerTLSMode, ServerTLSSettings
from mizzen.api.kubernetes import Secret
from mizzen.api.problem import Problem
from mizzen.api.resource import Resource, ResourceKey

PLAIN: Final = "kubernetes://"
"""Before the name of a Secret, which is in the namespace of the gateway's proxy."""
QUALIFIED: Final = "kubernetes-gateway://"
"""Before `<namespace>/<name>` of a Secret that the Gateway may refer to."""
CA_SUFFIX: Final = "-cacert"
"""What names of authorities end with: a Secret of its own, or the one beside the certificate."""
ASK: Final = frozenset({ServerTLSMode.MUTUAL, ServerTLSMode.OPTIONAL_MUTUAL, ServerTLSMode.ISTIO_MUTUAL})
"""Modes in which clients are asked for certificates."""
_PAIRS: Final = (("cert", "key", "ocsp-staple"), ("tls.crt", "tls.key", "tls.ocsp-staple"))
_AUTHORITIES: Final = (("cacert", "crl"), ("ca.crt", "ca.crl"))
VALUES: Final = frozenset(name for names in (*_PAIRS, *_AUTHORITIES) for name in names)
"""What a Secret may hold of a credential. Generic names go before those of Kubernetes' type kubernetes.io/tls."""
_OWN: Final = frozenset({ServerTLSMode.SIMPLE, ServerTLSMode.MUTUAL, ServerTLSMode.OPTIONAL_MUTUAL})

Resources = Mapping[ResourceKey, Resource]


class UnusableCredential(Exception):
    """There is no such Secret, or it cannot be used; the message says why, and never shows a value."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What a server shows, in PEM."""

    chain: bytes
    key: bytes = field(repr=False)
    staple: bytes = b""
    """An OCSP response in DER."""


@dataclass(frozen=True, slots=True)
class Authorities:
    """Whom a server believes about its clients, in PEM."""

    certificates: bytes
    revoked: bytes = b""


class Place(NamedTuple):
    """The Secret that a name means."""

    namespace: str
    name: str
    authorities: bool


def certificates(settings: ServerTLSSettings) -> tuple[str, ...]:
    """The names of what a server shows, where that comes from Secrets."""
    stated = settings.credential_names or tuple(filter(None, (settings.credential_name,)))
    return tuple(map(resource_name, stated)) if settings.mode in _OWN else ()


def authorities(settings: ServerTLSSettings) -> str:
    """The name of those whom a server believes about its clients; empty where that is not in a Secret."""
    if settings.mode not in _OWN & ASK:
        return ""
    return authorities_name(
        settings.ca_cert_credential_name or settings.credential_name or next(iter(settings.credential_names), "")
    )


def named(settings: ServerTLSSettings) -> tuple[str, ...]:
    """All that a server needs of Secrets."""
    return tuple(filter(None, (*certificates(settings), authorities(settings))))


def is_credential(name: str) -> bool:
    """Whether a secret of this name comes from Pilot."""
    return name.startswith((PLAIN, QUALIFIED))


def place(name: str, namespace: str) -> Place:
    """Which Secret a name means to a proxy of a namespace; raises UnusableCredential for a name without sense."""
    rest = name.removeprefix(PLAIN).removeprefix(QUALIFIED)
    stated, divided, secret = rest.partition("/")
    if not divided and name.startswith(QUALIFIED):
        raise UnusableCredential(f"{name} must be {QUALIFIED}<namespace>/<name>")
    if not divided:
        stated, secret = namespace, rest
    if not stated or not secret or "/" in secret:
        raise UnusableCredential(f"{name} must be {PLAIN}<name> or {PLAIN}<namespace>/<name>")
    return Place(stated, secret, secret.endswith(CA_SUFFIX))


def secrets_at(at: Place) -> tuple[ResourceKey, ...]:
    """The Secrets that can stand at a place, the first one that exists counts."""
    names = (at.name, at.name.removesuffix(CA_SUFFIX)) if at.authorities else (at.name,)
    return tuple(ResourceKey("Secret", at.namespace, name) for name in names)


def read(at: Place, resources: Resources) -> Pair | Authorities:
    """What is at a place; raises UnusableCredential."""
    for key in secrets_at(at):
        secret = resources[key].spec if key in resources else None
        if isinstance(secret, Secret):
            try:
                return _authorities_of(secret) if at.authorities else _pair_of(secret)
            except ValueError as error:
                raise UnusableCredential(f"{key}: {error}") from error
    raise UnusableCredential(f"{secrets_at(at)[-1]} does not exist where Pilot reads Secrets")


def problems(gateways: Iterable[Resource[Gateway]], resources: Resources) -> Iterator[Problem]:
    """Servers whose credentials are not good wherever the gateway's proxies may be."""
    namespaces = {key.namespace for key in resources if key.kind == "Secret"}
    for gateway in gateways:
        for index, server in enumerate(gateway.spec.servers):
            for name in named(server.tls) if server.tls is not None else ():
                reason = unusable_everywhere(name, namespaces or {"*"}, resources)
                if reason:
                    shown = f"server {server.name!r}" if server.name else f"server {index}"
                    message = f"credential {name} of {shown} cannot be used: {reason}; its clients are not served"
                    where = f"spec.servers[{index}].tls.credentialName"
                    yield Problem(gateway.source, gateway.id, where, message, "warning")


def unusable_everywhere(name: str, namespaces: Iterable[str], resources: Resources) -> str:
    """Why a credential is not good in any of these namespaces of proxies; "" when it is in one."""
    reasons: list[str] = []
    for namespace in sorted(namespaces):
        try:
            at = place(name, namespace)
        except UnusableCredential as error:
            return str(error)
        try:
            read(at, resources)
        except UnusableCredential as error:
            if any(key in resources for key in secrets_at(at)):
                reasons.insert(0, str(error))
            elif "/" in name.partition("://")[2]:
                reasons.append(str(error))
        else:
            return ""
    return (
        reasons[0]
        if reasons
        else f"there is no Secret {name.removeprefix(PLAIN)} in any namespace of which Pilot reads Secrets"
    )


def authorities_name(stated: str) -> str:
    """The name of the authorities that belong to what is stated; empty for nothing."""
    name = resource_name(stated) if stated else ""
    return name if not name or name.endswith(CA_SUFFIX) else name + CA_SUFFIX


def resource_name(stated: str) -> str:
    """Under which proxies ask for what is stated in a field."""
    return stated if "://" in stated else PLAIN + stated


def _pair_of(secret: Secret) -> Pair:
    """Raises ValueError."""
    for names in _PAIRS:
        chain, key, staple = map(secret.value, names)
        if chain and key:
            _check_pair(chain, key, *names[:2])
            return Pair(chain, key, staple)
    raise ValueError("it has neither tls.crt and tls.key nor cert and key")


def _authorities_of(secret: Secret) -> Authorities:
    for names in _AUTHORITIES:
        certificates, revoked = map(secret.value, names)
        if certificates:
            _check_certificates(certificates, names[0])
            return Authorities(certificates, revoked)
    raise ValueError("it has neither ca.crt nor cacert")


def _check_pair(chain: bytes, key: bytes, chain_name: str, key_name: str) -> None:
    leaf = _check_certificates(chain, chain_name)
    try:
        # That the numbers of an RSA key fit each other is for the proxy to say: it takes long.
        private = load_pem_private_key(key, password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError):  # TypeError: it is encrypted
        raise ValueError(f"{key_name} is not an unencrypted private key in PEM") from None
    encoding = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*encoding) != leaf.public_key().public_bytes(*encoding):
        raise ValueError(f"{key_name} is not the key of the first certificate in {chain_name}")


def _check_certificates(pem: bytes, name: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except ValueError:
        raise ValueError(f"{name} is not a certificate in PEM") from None
