"""Pilot as certificate authority: the secure port, its own certificate, and who is believed."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from cryptography import x509

from mizzen.identity.callers.tokens import TokenVerifier, Verifier
from mizzen.identity.certificate import certificate_to_pem
from mizzen.identity.inmemory import load_pair, load_roots
from mizzen.identity.keys import key_to_pem, new_key
from mizzen.identity.spiffe import SpiffeId
from mizzen.kubernetes.client import Client
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.ca.authority import Authority, CannotSign
from mizzen.pilot.ca.folder_source import FolderAuthority
from mizzen.pilot.ca.layout import REVOKED, Stored
from mizzen.pilot.ca.review import TokenReviewer
from mizzen.pilot.ca.revocation import NOTHING_REVOKED
from mizzen.pilot.ca.rotation import Rotation
from mizzen.pilot.ca.secret import SecretAuthority
from mizzen.pilot.ca.secure_port import SecurePort
from mizzen.pilot.ca.service import Account, CertificateService, Lives
from mizzen.runtime.address import Address
from mizzen.runtime.errors import StartError
from mizzen.runtime.files import write_atomic

log = logging.getLogger(__name__)

ACCOUNT: Final = "mizzen-pilot"
HOSTS: Final = ("istiod", "istio-pilot", ACCOUNT)
"""The names of Pilot's Service, of Istio's age and of ours."""
OWN_LIFE: Final = timedelta(hours=24)
RENEW_SECONDS: Final = OWN_LIFE.total_seconds() / 2


@dataclass(frozen=True, slots=True)
class AuthoritySettings:
    """Where the authority is, and what it goes by: a folder and keys, or Kubernetes."""

    address: Address
    """TLS: certificates, and xDS for who has one."""
    folder: Path | None = None
    """Of the authority's files, in Istio's `cacerts` layout; made where there is none."""
    token_keys: Path | None = None
    """Public keys of who issues the tokens of service accounts, a JSON Web Key Set."""
    namespace: str = ""
    """Of the authority's Secrets, in place of the folder; then the API server says whose a token is."""
    roots_name: str = "istio-ca-root-cert"
    """Of the ConfigMaps with the roots, in all namespaces."""
    roots_file: Path | None = None
    """Written for proxies that share it, and beside it what was revoked."""
    hosts: tuple[str, ...] = ()
    """Further names of Pilot's Service."""
    account_hosts: Mapping[Account, tuple[str, ...]] = field(default_factory=dict)
    """DNS names in the certificates of other servers of the control plane, by namespace and service account."""
    longest_life: timedelta = timedelta(days=90)

    @property
    def settle(self) -> timedelta:
        """How long proxies may take to learn of a new root: from a file, or from a ConfigMap by way of the kubelet."""
        return timedelta(minutes=3) if self.namespace else timedelta(seconds=10)

    @property
    def certifies_all(self) -> bool:
        """Whoever says that it can speak mutual TLS has a certificate; Pods of Kubernetes may be older than that."""
        return self.folder is not None


class Source(Protocol):
    """What the authority is read from."""

    async def load(self, trust_domain: str) -> Stored:
        """As it is, or made where there is none; raises StartError."""

    async def follow(self, changed: Callable[[Stored], None]) -> None:
        """Tell of what is new there, until cancelled."""


class PilotAuthority:
    """`prepare`, and `start` when the server behind listens; then `run`, then `close`."""

    def __init__(self, settings: AuthoritySettings, inner: Callable[[], Address], client: Client | None) -> None:
        """`inner` is where the plaintext server listens; `client` is of the API server, where there is one."""
        self._settings = settings
        self._client = client
        self._trust_domains: tuple[str, ...] = ()
        self.port = SecurePort(inner, lambda: self._trust_domains, self._vouches)
        self._stored: Stored | None = None
        self._revoked = NOTHING_REVOKED
        self._own: tuple[str, str] | None = None
        """Pilot's own chain and key, in PEM."""
        self._rotation: Rotation | None = None
        self._service: CertificateService | None = None
        self._turned = asyncio.Event()
        self._identity: SpiffeId | None = None
        self.verifier: Verifier | None = None
        """Who judges tokens; None until `prepare`, and where nobody does."""
        self._domain = ""
        self._source: Source
        if client is not None and settings.namespace:
            self._source = SecretAuthority(client, settings.namespace)
        elif settings.folder is not None:
            self._source = FolderAuthority(settings.folder)
        else:
            raise ValueError("an authority needs a folder, or a namespace of Kubernetes")

    async def prepare(self, mesh: MeshConfig) -> Any:
        """Read or make the authority; the CSR service, to be added to the server behind. Raises StartError."""
        stored = await self._source.load(mesh.trust_domain)
        self._rotation, self._revoked = Rotation(stored.authority, self._settings.settle), stored.revoked
        self._share()
        self._identity = SpiffeId(mesh.trust_domain, self._settings.namespace or mesh.root_namespace, ACCOUNT)
        self._trust_domains = mesh.trust_domains
        self._domain = mesh.domain_suffix
        lives = Lives(longest=self._settings.longest_life)
        self.verifier = self._new_verifier(mesh.trust_domain)
        hosts = self._settings.account_hosts
        self._service = CertificateService(self._known, self.verifier, self.port.peer, lives, hosts)
        return self._service.handler()

    @property
    def roots(self) -> str:
        """What proxies trust, in PEM."""
        return self._known().bundle

    @property
    def revocations(self) -> str:
        """What they do not trust any more, in PEM; empty for nothing."""
        return self._revoked.pem

    async def start(self) -> None:
        """Listen; raises StartError."""
        await self.port.start(self._settings.address, self._context())

    async def run(self) -> None:
        """Keep the authority and the own certificate good until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._source.follow(self._replaced))
            tasks.create_task(self._keep_own())
            tasks.create_task(self._rotate())

    async def _keep_own(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            self._renew()

    async def _rotate(self) -> None:
        """Take what is stored now, and let an authority that is to be replaced go when its time has come."""
        assert self._rotation is not None  # noqa: S101 - `prepare` comes first
        while True:
            due = self._rotation.seconds_until_due(datetime.now(UTC))
            with suppress(TimeoutError):
                async with asyncio.timeout(due):
                    await self._turned.wait()
            self._turned.clear()
            self._advance()

    async def close(self) -> None:
        """End all connections."""
        await self.port.close()

    def _share(self) -> None:
        """Roots and revocations for proxies, in files where one is named; raises StartError."""
        file = self._settings.roots_file
        if file is None:
            return
        try:
            write_atomic(file, self.roots)
            if self.revocations:
                write_atomic(file.with_name(REVOKED), self.revocations)
            else:
                file.with_name(REVOKED).unlink(missing_ok=True)
        except OSError as error:
            raise StartError(f"cannot write what proxies trust to {file.parent}: {error}") from error

    def _new_verifier(self, trust_domain: str) -> Verifier | None:
        if self._client is not None and self._settings.namespace:
            return TokenReviewer(self._client, trust_domain)
        keys = self._settings.token_keys
        return TokenVerifier.read(keys, trust_domain) if keys else None

    def _replaced(self, stored: Stored) -> None:
        self._stored = stored
        self._turned.set()

    def _advance(self) -> None:
        """What is revoked is so at once; an authority takes the place of another one step by step."""
        assert self._rotation is not None  # noqa: S101 - `prepare` comes first
        assert self._service is not None  # noqa: S101 - it is made with it
        now, revoked = datetime.now(UTC), self._revoked
        if self._stored is not None:
            self._rotation.want(self._stored.authority, now)
            self._revoked = self._stored.revoked
        advanced = self._rotation.advance(now, self._service.last_end)
        if not advanced and self._revoked == revoked:
            return
        try:
            self._share()
        except StartError as error:
            log.error("%s", error)
        self._renew()
        if advanced:
            served = self._known()
            name = served.certificate.subject.rfc4514_string()
            log.info("%s signs now, and %d roots are trusted", name, len(served.roots))
        if self._revoked != revoked:
            ended = self.port.judge_again()
            log.info("Another list of revoked certificates is in force; %d connections were ended", ended)

    def _vouches(self, certificate: x509.Certificate) -> bool:
        """Whether a client's certificate, which was good when it came, is so still."""
        authority = self._known()
        return self._revoked.vouch_for(certificate, (authority.certificate, *authority.intermediates, *authority.roots))

    def _known(self) -> Authority:
        if self._rotation is None:
            raise RuntimeError("the authority was not read")
        return self._rotation.served

    def _renew(self) -> None:
        """New connections see a new certificate, and what is trusted now."""
        self.port.use(self._context())

    def _context(self) -> ssl.SSLContext:
        """Clients may show a certificate, and Pilot shows its own."""
        self._renew_own()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["h2"])
        load_roots(context, self.roots)
        if self.revocations:
            load_roots(context, self.revocations)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
        if self._own is not None:
            load_pair(context, *self._own)
        return context

    def _renew_own(self) -> None:
        """Where none can be signed, the last one stays."""
        authority, identity = self._known(), self._identity
        assert identity is not None  # noqa: S101 - it is set with the authority
        key = new_key()
        own = f".{identity.namespace}"
        hosts = [
            host + space
            for host in dict.fromkeys((*HOSTS, *self._settings.hosts))
            for space in ("", own, f"{own}.svc", f"{own}.svc.{self._domain}")
        ]
        hosts.append(self._settings.address.host)
        try:
            leaf = authority.issue(key.public_key(), identity, OWN_LIFE, datetime.now(UTC), hosts)
        except CannotSign as error:
            log.error("Pilot's own certificate cannot be renewed: %s", error)
            return
        chain = "".join(map(certificate_to_pem, (leaf, *authority.intermediates)))
        self._own = (chain, key_to_pem(key))
        log.info("Pilot's own certificate is good until %s", leaf.not_valid_after_utc)
