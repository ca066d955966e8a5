"""Files that change under a running injector: its settings, and its certificate. The last good ones stay in use."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mizzen.injector.certificate.issue import Pair
from mizzen.injector.injection.settings import Settings, read_settings
from mizzen.injector.webhook.tls import ServedCertificate
from mizzen.runtime.errors import StartError

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class SettingsFiles:
    """Paths of the three texts; None where the defaults are meant."""

    values: Path | None = None
    mesh_config: Path | None = None
    inject_config: Path | None = None


class SettingsSource:
    """The settings as the files say."""

    def __init__(self, files: SettingsFiles, *, native_sidecars: bool | None) -> None:
        self._paths = (files.values, files.mesh_config, files.inject_config)
        self.native_sidecars = native_sidecars
        """None while it is not known what the cluster has; classic ones are made until then."""
        self._texts: Sequence[str] | None = None
        self.settings = Settings()

    def cluster_has_native_sidecars(self, has: bool) -> None:
        """What the cluster's version says."""
        if has != self.native_sidecars:
            log.info("Sidecars are %s from now on, by the version of the cluster", "native" if has else "classic")
            self.native_sidecars = has
            self.settings = replace(self.settings, native_sidecars=has)

    def load(self) -> None:
        """Read for the first time; raises StartError."""
        try:
            self._read()
        except (OSError, ValueError) as error:
            raise StartError(f"settings: {error}") from error

    def refresh(self) -> None:
        """Take over a change, if it is a good one."""
        try:
            changed = self._read()
        except (OSError, ValueError) as error:
            log.warning("Settings: %s; the last ones stay in use", error)
        else:
            if changed:
                log.info("Settings changed")

    def _read(self) -> bool:
        texts = [path.read_text(encoding="utf-8") if path else "" for path in self._paths]
        if texts == self._texts:
            return False
        self._texts = texts  # kept also when they are wrong: once is enough to say so
        self.settings = read_settings(*texts, native_sidecars=bool(self.native_sidecars))
        return True


class CertificateFiles:
    """Certificate chain and key in PEM files, served as they are renewed."""

    def __init__(self, chain: Path, key: Path, served: ServedCertificate) -> None:
        self._paths = (chain, key)
        self._served = served
        self._pair: Pair | None = None

    def load(self) -> None:
        """Read for the first time; raises StartError."""
        try:
            self._read()
        except (OSError, ssl.SSLError) as error:
            raise StartError(f"certificate {self._paths[0]} and key {self._paths[1]}: {error}") from error

    def refresh(self) -> None:
        """Take over a renewed pair, if the two belong together."""
        try:
            self._read()
        except (OSError, ssl.SSLError) as error:
            log.warning("Certificate %s: %s; the last one stays in use", self._paths[0], error)

    def _read(self) -> None:
        chain, key = (path.read_bytes() for path in self._paths)
        pair = Pair(chain, key)
        if pair != self._pair:
            self._pair = pair  # kept also when it is wrong: once is enough to say so
            self._served.take(pair)


async def follow(*sources: SettingsSource | CertificateFiles) -> None:
    """Look at the files again and again, until cancelled. Polling: mounted ConfigMaps and Secrets change by links."""
    while True:
        await asyncio.sleep(POLL_SECONDS)
        for source in sources:
            source.refresh()
