"""The API server as the injector uses it: what it follows there on every replica, and what the leader looks after."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from mizzen.injector.certificate.keeping import Wanted
from mizzen.injector.certificate.secret import read_secret
from mizzen.injector.webhook.authority import AuthoritySettings
from mizzen.injector.webhook.configurations import MUTATING, VALIDATING
from mizzen.injector.webhook.keeper import Keeper, KeptSecret, Signer
from mizzen.injector.webhook.proof import Proof
from mizzen.injector.webhook.tls import ServedCertificate
from mizzen.kubernetes.client import Client
from mizzen.kubernetes.leader import Leader
from mizzen.kubernetes.single import Single, follow

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """What the leader keeps current."""

    lease: tuple[str, str]
    """Namespace and name of the Lease whose holder is the leader."""
    secret: tuple[str, str] | None
    """Those of the Secret with the certificate; None where it comes from files."""
    wanted: Wanted
    mutating: str
    """Name of the MutatingWebhookConfiguration; empty: none."""
    validating: str
    """Name of the ValidatingWebhookConfiguration; empty: none."""
    authority: AuthoritySettings | None = None
    """Who signs the Secret's certificate; None: each is signed by a root of its own."""

    @property
    def configurations(self) -> tuple[Single, ...]:
        named = ((MUTATING, self.mutating), (VALIDATING, self.validating))
        return tuple(Single(path, name) for path, name in named if name)


class Cluster:
    """One API server; the client stays its owner's to close."""

    def __init__(self, client: Client, kept: Kept, served: ServedCertificate, revision: str) -> None:
        self._client = client
        self._kept = kept
        self._served = served
        self._secret: Single | None = None
        if kept.secret:
            namespace, name = kept.secret
            self._secret = Single(f"/api/v1/namespaces/{namespace}/secrets", name)
        secret = KeptSecret(self._secret, kept.wanted, _signer(kept)) if self._secret else None
        proof = Proof(self._client, kept.lease[0], revision)
        self._keeper = Keeper(self._client, secret, kept.configurations, proof)

    async def run(self) -> None:
        """Follow the certificate, and look after it while this process leads, until cancelled."""
        identity = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
        leader = Leader(self._client, *self._kept.lease, identity, time.time)
        async with asyncio.TaskGroup() as tasks:
            if self._secret:
                tasks.create_task(follow(self._client, self._secret, self._secret_is, random.random))
            tasks.create_task(leader.run(partial(self._keeper.run, partial(datetime.now, UTC))))

    def _secret_is(self, item: dict[str, Any] | None) -> None:
        self._keeper.secret_is(item)
        name = "/".join(self._kept.secret or ())
        if item is None:
            log.warning("There is no Secret %s; `helm upgrade` makes it", name)
            return
        pair = read_secret(item).serving
        if pair is None:
            return
        try:
            self._served.take(pair)
        except (OSError, ssl.SSLError) as error:
            log.warning("Secret %s: %s; the last certificate stays in use", name, error)


def _signer(kept: Kept) -> Signer | None:
    if kept.authority is None:
        return None
    from mizzen.injector.webhook.signer import MeshSigner  # it brings gRPC

    return MeshSigner(kept.authority)
