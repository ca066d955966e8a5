"""The authority in Secrets of Kubernetes, under Istio's names: `cacerts`, whom a user plugs in, else `istio-ca-secret`.

The latter is our own root, made by the first Pilot that finds neither. Any number may start at once: the API server
lets one of them create it, and the others take what that one made.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import os
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from mizzen.identity.certificate import certificate_to_pem
from mizzen.identity.keys import key_to_pem, new_key
from mizzen.kubernetes.client import FAILURES, ApiError, Client
from mizzen.kubernetes.single import Single, follow
from mizzen.pilot.ca.authority import self_signed
from mizzen.pilot.ca.layout import CHAIN, KEY, NAMES, ROOTS, SIGNER, Stored, read_stored
from mizzen.runtime.backoff import Backoff
from mizzen.runtime.errors import StartError

log = logging.getLogger(__name__)

PLUGGED: Final = "cacerts"
OWN: Final = "istio-ca-secret"
TYPE: Final = "istio.io/ca-root"
RETRY_SECONDS: Final = (0.25, 15.0)
APPLY: Final = "application/apply-patch+yaml"
_WHAT: Final = "the authority's Secrets"


class SecretAuthority:
    """The Secrets of one namespace. Implements `app.authority.Source`."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._path = f"/api/v1/namespaces/{namespace}/secrets"
        self._manager = f"mizzen-pilot-{os.urandom(4).hex()}"
        """Of this process alone: the API server refuses to let it write over what another one wrote."""
        self._found: dict[str, Mapping[str, str]] = {}
        self._used: Mapping[str, str] = {}

    async def load(self, trust_domain: str) -> Stored:
        """Read it, or make it, waiting for the API server as long as it takes; raises StartError for a wrong one."""
        backoff = Backoff(*RETRY_SECONDS)
        while True:
            try:
                await self._read()
                if self._found:
                    self._client.outages.end(_WHAT)
                    return self._current()
                await self._create(trust_domain)
            except FAILURES as error:
                if not (isinstance(error, ApiError) and error.status == 409):  # another Pilot was faster
                    self._client.outages.begin(_WHAT, str(error) or type(error).__name__)
                await asyncio.sleep(backoff.next(random.random()))

    async def follow(self, changed: Callable[[Stored], None]) -> None:
        """Tell of what is new in the Secrets, until cancelled. The last good one stays where there is none."""
        async with asyncio.TaskGroup() as tasks:
            for name in (PLUGGED, OWN):
                tasks.create_task(self._follow(name, changed))

    async def _follow(self, name: str, changed: Callable[[Stored], None]) -> None:
        def seen(item: Mapping[str, Any] | None) -> None:
            texts = _texts(item)
            if not texts:
                if self._found.get(name) == self._used:
                    log.warning("Secret %s/%s is gone; its authority stays in use here", self._namespace, name)
                return
            self._found[name] = texts
            if self._chosen()[1] == self._used:
                return
            try:
                changed(self._current())
            except StartError as error:
                log.warning("%s; the last good authority stays in use", error)

        await follow(self._client, Single(self._path, name), seen, random.random)

    async def _read(self) -> None:
        for name in (PLUGGED, OWN):
            try:
                texts = _texts(await self._client.get(f"{self._path}/{name}"))
            except ApiError as error:
                if error.status != 404:
                    raise
                continue
            if texts:
                self._found[name] = texts

    def _chosen(self) -> tuple[str, Mapping[str, str]]:
        name = PLUGGED if PLUGGED in self._found else OWN
        return name, self._found[name]

    def _current(self) -> Stored:
        name, texts = self._chosen()
        stored = read_stored(texts, f"Secret {self._namespace}/{name}", datetime.now(UTC))
        self._used = texts
        return stored

    async def _create(self, trust_domain: str) -> None:
        made = await asyncio.to_thread(lambda: self_signed(new_key(), trust_domain, datetime.now(UTC)))
        certificate = certificate_to_pem(made.certificate)
        texts = {SIGNER: certificate, KEY: key_to_pem(made.key), CHAIN: certificate, ROOTS: certificate}
        item = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": OWN, "namespace": self._namespace},
            "type": TYPE,
            "data": {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()},
        }
        # Applied and not posted: RBAC can then restrict the right to create to this one name.
        await self._client.send("PATCH", f"{self._path}/{OWN}?fieldManager={self._manager}", item, APPLY)
        log.info("Created the root of trust domain %s in Secret %s/%s", trust_domain, self._namespace, OWN)


def _texts(item: Mapping[str, Any] | None) -> dict[str, str]:
    """What a Secret has of the layout; nothing for one that is empty, or not there."""
    data = (item or {}).get("data") or {}
    return {name: text for name in NAMES if (text := _decoded(data.get(name)))}


def _decoded(value: object) -> str:
    try:
        return base64.b64decode(str(value or ""), validate=True).decode()
    except (binascii.Error, ValueError):
        return "not text"
