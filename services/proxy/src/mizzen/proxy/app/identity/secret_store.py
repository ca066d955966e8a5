"""The secrets of this proxy by their names, as SDS gives them out, and word to whoever follows them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

from mizzen.proxy.app.identity.sds_session import Versioned
from mizzen.proxy.app.secrets.files import FileSecrets, is_file
from mizzen.proxy.engine.tls_plan import SecretPlan


class SecretStore:
    """Of one proxy. `keep` replaces secrets; `followed` wakes up after that. Files are looked at once asked for."""

    def __init__(self) -> None:
        self._files = FileSecrets(self.keep)
        self._wanted: set[str] = set()
        """Names of files that somebody asked for; forgotten when nobody follows any more."""
        self._secrets: dict[str, Versioned] = {}
        self._followers: set[asyncio.Event] = set()

    async def keep(self, plans: Iterable[SecretPlan]) -> None:
        """New secrets, or new contents of those that there are."""
        self._take(plans)
        for follower in self._followers:
            follower.set()

    async def watch(self) -> None:
        """Read files anew when they change, until cancelled."""
        await self._files.watch()

    def find(self, name: str) -> Versioned | None:
        """None: it is not there, or not yet."""
        if name not in self._wanted and is_file(name):
            self._wanted.add(name)
            self._take(self._files.want(self._wanted))
        return self._secrets.get(name)

    @contextmanager
    def followed(self) -> Iterator[asyncio.Event]:
        """An event that every change sets; who waits for it clears it."""
        event = asyncio.Event()
        self._followers.add(event)
        try:
            yield event
        finally:
            self._followers.discard(event)
            if not self._followers:
                self._forget_files()

    def _take(self, plans: Iterable[SecretPlan]) -> None:
        self._secrets |= {plan.name: Versioned(_version(plan), secret_message(plan)) for plan in plans}

    def _forget_files(self) -> None:
        for name in self._wanted:
            self._secrets.pop(name, None)
        self._wanted.clear()
        self._files.want(())


def secret_message(plan: SecretPlan) -> Any:
    """envoy.extensions.transport_sockets.tls.v3.Secret."""
    secret = secret_pb2.Secret(name=plan.name)
    if plan.roots or plan.crl:
        if plan.roots:
            secret.validation_context.trusted_ca.inline_bytes = plan.roots.encode()
        if plan.crl:
            secret.validation_context.crl.inline_bytes = plan.crl.encode()
    else:
        secret.tls_certificate.certificate_chain.inline_bytes = plan.chain.encode()
        secret.tls_certificate.private_key.inline_bytes = plan.key.encode()
    return secret


def _version(plan: SecretPlan) -> str:
    """Of what is public: a key changes with its certificate."""
    return hashlib.sha256((plan.chain + plan.roots + plan.crl).encode()).hexdigest()[:16]
