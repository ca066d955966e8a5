"""ConfigMaps of one name in every namespace, as Istio has them: whom Pods trust, and what was revoked of that.

By `istio-ca-root-cert` a Pod knows Pilot before it has a certificate; `istio-ca-crl` is there when there is a list.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mizzen.kubernetes.client import FAILURES, ApiError, Client
from mizzen.kubernetes.objects import metadata_of
from mizzen.kubernetes.single import Single, follow_all

log = logging.getLogger(__name__)

ROOTS_KEY: Final = "root-cert.pem"
REVOKED_NAME: Final = "istio-ca-crl"
REVOKED_KEY: Final = "ca-crl.pem"
LABELS: Final = {"istio.io/config": "true"}
"""As Istio marks its own, so that what looks for those finds these."""
SYSTEM: Final = frozenset({"kube-system", "kube-public", "kube-node-lease", "local-path-storage"})
"""Namespaces where nothing is ever injected."""
LOOK_SECONDS: Final = 1.0
PACE_SECONDS: Final = 0.02
RETRY_SECONDS: Final = 5.0
MANAGER: Final = "mizzen-pilot"
APPLY: Final = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class TrustText:
    """What all Pods are to have."""

    pem: Callable[[], str]
    """As of now; asked once a second. Empty: nothing is to be in the ConfigMaps, and none is made."""
    name: str
    """Of the ConfigMaps."""
    key: str


def missing(namespaces: Iterable[str], known: Mapping[str, str], text: str) -> list[str]:
    """Namespaces whose ConfigMap does not have this text; `known` is what each has."""
    return sorted(name for name in namespaces if name not in SYSTEM and known.get(name, "") != text)


class TrustKeeper:
    """Keeps them as they should be, whoever else writes. For one Pilot at a time."""

    def __init__(self, client: Client, namespaces: Callable[[], Mapping[str, str]], text: TrustText) -> None:
        """`namespaces` gives their uids by their names, and is asked once a second."""
        self._client = client
        self._namespaces = namespaces
        self._text = text
        self._what = f"ConfigMaps {text.name}"
        self._known: dict[str, str] | None = None
        self._going: dict[str, str] = {}
        """Namespaces that take nothing new, by their names, with their uids: another one may have the name later."""

    async def run(self) -> None:
        """Until cancelled."""
        single = Single("/api/v1/configmaps", self._text.name)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(follow_all(self._client, single, self._listed, self._changed, random.random))
            tasks.create_task(self._mend())

    def _listed(self, items: Sequence[dict[str, Any]]) -> None:
        self._known = {}
        for item in items:
            self._changed(item, exists=True)

    def _changed(self, item: dict[str, Any], *, exists: bool) -> None:
        metadata, _ = metadata_of(item)
        assert self._known is not None  # noqa: S101 - a list comes before events
        if exists:
            self._known[metadata["namespace"]] = str((item.get("data") or {}).get(self._text.key, ""))
        else:
            self._known.pop(metadata["namespace"], None)

    async def _mend(self) -> None:
        try:
            while True:
                done = await self._succeeds()
                await asyncio.sleep(LOOK_SECONDS if done else RETRY_SECONDS)
        finally:
            self._client.outages.end(self._what)

    async def _succeeds(self) -> bool:
        if self._known is None:
            return True
        pem, namespaces = self._text.pem(), self._namespaces()
        self._going = {name: uid for name, uid in self._going.items() if namespaces.get(name) == uid}
        try:
            for namespace in missing(namespaces.keys() - self._going.keys(), self._known, pem):
                if not await self._write(namespace, pem):
                    self._going[namespace] = namespaces[namespace]
                await asyncio.sleep(PACE_SECONDS)
        except FAILURES as error:
            self._client.outages.begin(self._what, str(error) or type(error).__name__)
            return False
        self._client.outages.end(self._what)
        return True

    async def _write(self, namespace: str, pem: str) -> bool:
        """False where the namespace is on its way out."""
        item = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self._text.name, "namespace": namespace, "labels": LABELS},
            "data": {self._text.key: pem} if pem else {},
        }
        path = f"/api/v1/namespaces/{namespace}/configmaps/{self._text.name}?fieldManager={MANAGER}&force=true"
        try:
            await self._client.send("PATCH", path, item, APPLY)
        except ApiError as error:
            if not _is_going(error):
                raise
            return False
        assert self._known is not None  # noqa: S101 - nothing is written before a list came
        self._known[namespace] = pem  # what the watch says of it comes later
        return True


def _is_going(error: ApiError) -> bool:
    """Whether the namespace is on its way out, or gone already."""
    return error.status == 404 or (error.status == 403 and "being terminated" in str(error))
