"""Whom a workload trusts: the roots that came with its certificate, and those in files that somebody keeps up to date.

A root that is new reaches proxies by its file long before their certificates are renewed, and so does a list of what
was revoked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from mizzen.identity.certificate import certificate_to_pem, certificates_from_pem
from mizzen.proxy.app.secrets.files import LOOK_SECONDS, FileSecrets
from mizzen.proxy.engine.tls_plan import CRL_FILE, OWN_ROOTS, ROOTS_FILE, SecretPlan

log = logging.getLogger(__name__)

CRL_PLACES = ("ca-crl.pem", "crl/ca-crl.pem")
"""Beside the roots: in the authority's own folder, and where Istio mounts a ConfigMap."""


class Trust:
    """`run` for ever; `plan` is what is trusted now."""

    def __init__(self, roots: Path, changed: Callable[[], Awaitable[None]]) -> None:
        """`roots` is the file; `changed` hears that `plan` gives something else."""
        self._roots = ROOTS_FILE + str(roots)
        self._lists = {CRL_FILE + str(path): path for path in (roots.parent / place for place in CRL_PLACES)}
        self._changed = changed
        self._files = FileSecrets(self._told)
        self._roots_file = roots
        self._followed: list[str] = []
        self._follow()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._files.watch())
            tasks.create_task(self._find_files())

    def plan(self, received: str) -> SecretPlan:
        """The roots that came with the certificate (PEM) and those in the file, each once, and what was revoked."""
        current = self._files.current
        in_file = current[self._roots].roots if self._roots in current else ""
        roots = dict.fromkeys(map(certificate_to_pem, certificates_from_pem(received + in_file)))
        lists = (current[name].crl for name in self._lists if name in current)
        return SecretPlan(OWN_ROOTS, roots="".join(roots), crl="".join(lists))

    def _follow(self) -> bool:
        """Follow the files that there are; whether these are others now. Roots that were there once are kept."""
        names = [name for name, path in self._lists.items() if path.exists()]
        if self._roots in self._followed or self._roots_file.exists():
            names.append(self._roots)
        if names == self._followed:
            return False
        self._followed = names
        self._files.want(names)
        return True

    async def _find_files(self) -> None:
        """Files that were not there before, and lists that are not there any more."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._follow():
                try:
                    await self._changed()
                except RuntimeError as error:
                    log.error("New roots, or another list of what was revoked, are not used: %s", error)

    async def _told(self, plans: tuple[SecretPlan, ...]) -> None:
        await self._changed()
