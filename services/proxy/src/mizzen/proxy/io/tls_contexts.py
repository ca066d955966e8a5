"""The library's contexts of TLS, made from plans and secrets, and made anew when a secret changes.

Connections keep the context that they began with: a new certificate costs nobody a connection.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from mizzen.identity.inmemory import load_pair, load_roots
from mizzen.proxy.engine.match_plan import StringMatch
from mizzen.proxy.engine.peer import Judge, bind_judge
from mizzen.proxy.engine.tls_plan import (
    ClientTlsPlan,
    NameMatch,
    SecretPlan,
    ServerTlsPlan,
    SocketsPlan,
    TlsPlan,
)

if TYPE_CHECKING:
    import asyncio

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
MAX_KEPT: Final = 1_000
"""Endpoints of one cluster with which a connection begins sooner the next time, and contexts."""
_ISTIO: Final = "istio"
_HTTP_PROTOCOLS: Final = ("istio-http/1.1", _ISTIO, "http/1.1")
"""What a client that speaks HTTP/1.1 says in place of a mesh's protocols (Istio's filter istio.alpn)."""
_HTTP2: Final = ("h2", "istio-h2")
"""Only said by who speaks it."""

Inside: TypeAlias = Literal["bytes", "http/1.1", "h2"]
"""What a client will speak in TLS, as far as it knows."""
_Plan: TypeAlias = ServerTlsPlan | ClientTlsPlan
_Key: TypeAlias = tuple[_Plan, Inside] | tuple[_Plan, Inside, bool, bool, str]
"""Plan and what is inside; and, where these matter, what of a request's host counts, and that host."""


class NoSecret(Exception):
    """A certificate or roots that a plan names are not here yet; the message says which."""


class Security:
    """A plan of TLS that can be used: wraps connections, checks peers, remembers sessions."""

    __slots__ = ("_context", "_server_name", "_sessions", "identity", "judge", "server_side", "verifies")

    def __init__(self, context: ssl.SSLContext, plan: _Plan, identity: str, judge: Judge | None = None) -> None:
        """`judge` in place of the plan's own."""
        self._context = context
        self.identity: Final = identity
        """What the own certificate says."""
        self.server_side: Final = isinstance(plan, ServerTlsPlan)
        self._server_name = plan.server_name if isinstance(plan, ClientTlsPlan) else ""
        self.judge: Final = judge or bind_judge(plan.common)
        self.verifies: Final = bool(plan.common.roots)
        """Somebody vouches for peers; else their certificates prove nothing."""
        self._sessions: dict[Any, ssl.SSLSession] = {}

    def toward(self, plan: ClientTlsPlan) -> Security:
        """The same towards another name, which must be proved besides, with sessions of its own."""
        before, besides = self.judge, bind_judge(plan.common)
        return Security(
            self._context, plan, self.identity, lambda names, encoded: before(names, encoded) or besides(names, encoded)
        )

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
        if len(self._sessions) >= MAX_KEPT:
            self._sessions.clear()
        self._sessions[peer[:2]] = session


class TlsContexts:
    """By plan. `follow` replaces secrets; what was made of those that changed is made anew when it is asked for."""

    def __init__(self) -> None:
        self._secrets: dict[str, SecretPlan] = {}
        self._made: dict[_Key, Security] = {}

    def follow(self, secrets: Mapping[str, SecretPlan]) -> None:
        """Use these from now on."""
        before, self._secrets = self._secrets, dict(secrets)
        changed = {name for name in before.keys() | secrets.keys() if before.get(name) != secrets.get(name)}
        if changed:
            self._made = {
                key: security for key, security in self._made.items() if changed.isdisjoint(key[0].common.secrets)
            }

    def security(self, plan: _Plan, inside: Inside = "bytes") -> Security:
        """Raises NoSecret. A client that will speak HTTP says so, by the mesh's names where it is in one."""
        key = (plan, inside)
        found = self._made.get(key)
        if found is None:
            context = self._context(plan, inside)
            found = self._keep(key, Security(context, plan, self._identity(plan.common.certificate)))
        return found

    def security_of_host(
        self, plan: ClientTlsPlan, sockets: SocketsPlan, host: str, inside: Inside = "http/1.1"
    ) -> Security:
        """For HTTP requests with this Host header, without its port. Raises NoSecret."""
        key = (plan, inside, sockets.host_is_server_name, sockets.host_is_peer_name, host)
        found = self._made.get(key)
        if found is None:
            toward = _toward(plan, sockets, host)
            found = self._keep(key, self.security(plan, inside).toward(toward))
        return found

    def _keep(self, key: _Key, security: Security) -> Security:
        if len(self._made) >= MAX_KEPT:
            self._made.clear()
        self._made[key] = security
        return security

    def _context(self, plan: _Plan, inside: Inside) -> ssl.SSLContext:
        common = plan.common
        server = isinstance(plan, ServerTlsPlan)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # names are compared by the plan, URIs among them
        context.minimum_version = _VERSIONS[common.lowest]
        context.maximum_version = _VERSIONS[common.highest]
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        if isinstance(plan, ServerTlsPlan) and not plan.tickets:
            context.options |= ssl.OP_NO_TICKET
            context.num_tickets = 0
        if common.ciphers:
            context.set_ciphers(":".join(common.ciphers))
        protocols = _protocols(common, inside)
        if protocols:
            context.set_alpn_protocols(protocols)
        if common.certificate:
            secret = self._secret(common.certificate, "key")
            load_pair(context, secret.chain, secret.key)
        if common.roots:
            self._load_roots(context, common)
        context.verify_mode = _verify_mode(plan)
        return context

    def _load_roots(self, context: ssl.SSLContext, common: TlsPlan) -> None:
        secret = self._secret(common.roots, "roots")
        load_roots(context, secret.roots)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # whatever is given is trusted, as in Envoy
        lists = [secret.crl] if secret.crl else []
        if common.crl:
            lists.append(self._secret(common.crl, "crl").crl)
        for each in lists:
            load_roots(context, each)
            leaf = common.only_leaf_crl
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF if leaf else ssl.VERIFY_CRL_CHECK_CHAIN

    def _secret(self, name: str, part: str) -> SecretPlan:
        found = self._secrets.get(name)
        if found is None or not getattr(found, part):
            raise NoSecret(f"this proxy has no secret {name!r} yet")
        return found

    def _identity(self, name: str) -> str:
        return self._secrets[name].identity if name else ""


def check_secrets(secrets: Iterable[SecretPlan]) -> None:
    """ValueError for what the library cannot use, before anything depends on it."""
    for secret in secrets:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            if secret.key:
                load_pair(context, secret.chain, secret.key)
            for text in filter(None, (secret.roots, secret.crl)):
                load_roots(context, text)
        except ssl.SSLError as error:
            raise ValueError(f"secret {secret.name}: {error}") from error


def _toward(plan: ClientTlsPlan, sockets: SocketsPlan, host: str) -> ClientTlsPlan:
    """What a request's host adds: an IP address is no name to ask for, but one to be proved."""
    is_address = _is_address(host)
    if sockets.host_is_peer_name and plan.common.roots:
        kind: Final = "IP Address" if is_address else "DNS"
        expected = NameMatch(kind, StringMatch("exact", host))
        plan = replace(plan, common=replace(plan.common, names=(expected,)))
    if sockets.host_is_server_name and not is_address:
        plan = replace(plan, server_name=host)
    return plan


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _protocols(common: TlsPlan, inside: Inside) -> list[str]:
    """ALPN."""
    if inside == "http/1.1" and _ISTIO in common.protocols:
        return list(_HTTP_PROTOCOLS)
    return [name for name in common.protocols if inside == "h2" or name not in _HTTP2]


def _verify_mode(plan: _Plan) -> ssl.VerifyMode:
    if not plan.common.roots:
        return ssl.CERT_NONE
    if isinstance(plan, ServerTlsPlan) and not plan.requires_certificate:
        return ssl.CERT_OPTIONAL
    return ssl.CERT_REQUIRED
