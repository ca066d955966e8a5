"""The library's contexts of TLS, made from plans and secrets, and made anew when a secret changes.

Connections keep the context that they began with: a new certificate costs nobody a connection.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from mizzen.identity.inmemory import load_pair
from mizzen.proxy.engine.peer import bind_names
from mizzen.proxy.engine.tls_plan import ClientTlsPlan, SecretPlan, ServerTlsPlan, TlsPlan

if TYPE_CHECKING:
    import asyncio

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
MAX_SESSIONS: Final = 1_000
"""Endpoints of one cluster with which a connection begins sooner the next time."""
_ISTIO: Final = "istio"
_HTTP_PROTOCOLS: Final = ("istio-http/1.1", _ISTIO, "http/1.1")
"""What a client that speaks HTTP/1.1 says in place of a mesh's protocols (Istio's filter istio.alpn)."""


class NoSecret(Exception):
    """A certificate or roots that a plan names are not here yet; the message says which."""


class Security:
    """A plan of TLS that can be used: wraps connections, checks peers, remembers sessions."""

    __slots__ = ("_context", "_server_name", "_sessions", "identity", "is_peer", "server_side")

    def __init__(self, context: ssl.SSLContext, plan: ServerTlsPlan | ClientTlsPlan, identity: str) -> None:
        self._context = context
        self.identity: Final = identity
        """What the own certificate says."""
        self.server_side: Final = isinstance(plan, ServerTlsPlan)
        self._server_name = plan.server_name if isinstance(plan, ClientTlsPlan) else ""
        self.is_peer: Final = bind_names(plan.common.names)
        self._sessions: dict[Any, ssl.SSLSession] = {}

    def wrap(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, session: ssl.SSLSession | None) -> ssl.SSLObject:
        """One connection."""
        return self._context.wrap_bio(incoming, outgoing, self.server_side, self._server_name or None, session)

    def session(self, address: tuple[str, int]) -> ssl.SSLSession | None:
        """What shortens the next handshake with an endpoint."""
        return self._sessions.get(address)

    def keep_session(self, raw: asyncio.Transport, session: ssl.SSLSession | None) -> None:
        """Remember it for the next connection to the same endpoint."""
        peer = raw.get_extra_info("peername")
        if session is None or not peer:
            return
        if len(self._sessions) >= MAX_SESSIONS:
            self._sessions.clear()
        self._sessions[peer[:2]] = session


class TlsContexts:
    """By plan. `follow` replaces secrets; what was made of them is made anew when it is next asked for."""

    def __init__(self) -> None:
        self._secrets: dict[str, SecretPlan] = {}
        self._made: dict[tuple[ServerTlsPlan | ClientTlsPlan, bool], Security] = {}

    def follow(self, secrets: Mapping[str, SecretPlan]) -> None:
        """Use these from now on."""
        if secrets != self._secrets:
            self._secrets = dict(secrets)
            self._made.clear()

    def security(self, plan: ServerTlsPlan | ClientTlsPlan, *, http: bool = False) -> Security:
        """Raises NoSecret. `http`: a client that will speak HTTP/1.1 and, in a mesh, says so."""
        found = self._made.get((plan, http))
        if found is None:
            if len(self._made) >= MAX_SESSIONS:
                self._made.clear()
            found = self._made[plan, http] = Security(
                self._context(plan, http=http), plan, self._identity(plan.common.certificate)
            )
        return found

    def _context(self, plan: ServerTlsPlan | ClientTlsPlan, *, http: bool) -> ssl.SSLContext:
        common = plan.common
        server = isinstance(plan, ServerTlsPlan)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # names are compared by the plan, URIs among them
        context.minimum_version = _VERSIONS[common.lowest]
        context.maximum_version = _VERSIONS[common.highest]
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        if common.ciphers:
            context.set_ciphers(":".join(common.ciphers))
        protocols = _HTTP_PROTOCOLS if http and _ISTIO in common.protocols else common.protocols
        if protocols:
            context.set_alpn_protocols(list(protocols))
        if common.certificate:
            self._load_pair(context, common)
        if common.roots:
            context.load_verify_locations(cadata=self._secret(common.roots, "roots").roots)
        context.verify_mode = _verify_mode(plan)
        return context

    def _secret(self, name: str, part: str) -> SecretPlan:
        found = self._secrets.get(name)
        if found is None or not getattr(found, part):
            raise NoSecret(f"this proxy has no secret {name!r} yet")
        return found

    def _identity(self, name: str) -> str:
        return self._secrets[name].identity if name else ""

    def _load_pair(self, context: ssl.SSLContext, common: TlsPlan) -> None:
        secret = self._secret(common.certificate, "key")
        load_pair(context, secret.chain, secret.key)


def check_secrets(secrets: Iterable[SecretPlan]) -> None:
    """ValueError for what the library cannot use, before anything depends on it."""
    for secret in secrets:
        contexts = TlsContexts()
        contexts.follow({secret.name: secret})
        plan = TlsPlan(secret.name if secret.key else "", secret.name if secret.roots else "")
        try:
            contexts.security(ServerTlsPlan(plan))
        except (ssl.SSLError, NoSecret) as error:
            raise ValueError(f"secret {secret.name}: {error}") from error


def _verify_mode(plan: ServerTlsPlan | ClientTlsPlan) -> ssl.VerifyMode:
    if not plan.common.roots:
        return ssl.CERT_NONE
    if isinstance(plan, ServerTlsPlan) and not plan.requires_certificate:
        return ssl.CERT_OPTIONAL
    return ssl.CERT_REQUIRED
