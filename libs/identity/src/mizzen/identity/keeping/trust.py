"""Whom a process trusts: the roots that came with its certificate, and those in files that somebody keeps up to date.

A root that is new reaches everybody by its file long before certificates are renewed, and so does a list of what was
revoked.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from mizzen.identity.certificate import certificate_to_pem, certificates_from_pem
from mizzen.identity.inmemory import load_roots, reason_of
from mizzen.runtime.followed import LOOK_SECONDS, FollowedFiles, read_text

log = logging.getLogger(__name__)

MAX_PEM: Final = 1024 * 1024
"""Bytes of one file."""
CRL_PLACES: Final = ("ca-crl.pem", "crl/ca-crl.pem")
"""Beside the roots: in the authority's own folder, and where Istio mounts a ConfigMap."""


class Trust:
    """`run` for ever; `roots` and `revoked` are what is trusted now."""

    def __init__(self, roots: Path, changed: Callable[[], Awaitable[None]]) -> None:
        """`roots` is the file; `changed` hears that there is something else in the files."""
        self._roots = roots
        self._lists = tuple(roots.parent / place for place in CRL_PLACES)
        self._changed = changed
        self._files = FollowedFiles(lambda name: (Path(name),), self._read, self._told)
        self._followed: list[str] = []
        self._follow()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._files.watch())
            tasks.create_task(self._find_files())

    def roots(self, received: str) -> str:
        """The roots that came with the certificate and those in the file, each once; PEM."""
        in_file = self._files.current.get(str(self._roots), "")
        found = [each for text in (received, in_file) if text for each in certificates_from_pem(text)]
        return "".join(dict.fromkeys(map(certificate_to_pem, found)))

    @property
    def revoked(self) -> str:
        """Lists of what was revoked, PEM; empty where there are none."""
        return "".join(self._files.current.get(str(path), "") for path in self._lists)

    def _follow(self) -> bool:
        """Follow the files that there are; whether these are others now. Roots that were there once are kept."""
        names = [str(path) for path in self._lists if path.exists()]
        if str(self._roots) in self._followed or self._roots.exists():
            names.append(str(self._roots))
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

    async def _told(self, texts: tuple[str, ...]) -> None:
        await self._changed()

    def _read(self, name: str) -> str:
        """Certificates or lists; raises ValueError for what cannot be used."""
        path = Path(name)
        text = read_text(path, MAX_PEM)
        if len(text) > MAX_PEM:
            raise ValueError(f"is longer than {MAX_PEM} letters")
        try:
            load_roots(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), text)
        except ssl.SSLError as error:
            raise ValueError(f"cannot be read: {reason_of(error)}") from None
        if path == self._roots:
            certificates_from_pem(text)
        return text
