"""rbac's parameters and verdicts."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from mizzen.api.types import DurationOrZero, Model
from mizzen.mixer.adapter import AdapterError, CheckResult, Environment, Handler
from mizzen.mixer.adapters.base import HandlerBase, as_kind
from mizzen.mixer.adapters.defaults import DEFAULTS
from mizzen.mixer.adapters.folder import Folder
from mizzen.mixer.adapters.params import read
from mizzen.mixer.adapters.rbac.resources import Named, parse
from mizzen.mixer.adapters.rbac.roles import Roles
from mizzen.mixer.status import OK, Code, Status
from mizzen.mixer.templates import Authorization, Instance

log = logging.getLogger(__name__)

DENIED = Status(Code.PERMISSION_DENIED, "RBAC: permission denied.")
USES = 10**9
KUBERNETES = "k8s://"
FOLDER = "fs://"


class Params(Model):
    """Where roles and bindings are, and how long a verdict holds."""

    config_store_url: str = KUBERNETES
    cache_duration: DurationOrZero = timedelta(seconds=60)


class RbacHandler(HandlerBase):
    """Allows what a role allows."""

    def __init__(self, params: Params, root: Path) -> None:
        self._valid_duration = params.cache_duration
        self._roles = Roles(())
        self._folder: Folder[Named] = Folder(root, parse, self._take)

    async def start(self) -> None:
        """Read the roles, and follow their changes from now on."""
        await self._folder.start()

    async def check(self, instance: Instance) -> CheckResult:
        allowed = self._roles.allow(as_kind(instance, Authorization))
        return CheckResult(OK if allowed else DENIED, self._valid_duration, USES)

    async def refresh(self) -> None:
        """Read roles that have changed."""
        await self._folder.refresh()

    async def close(self) -> None:
        await self._folder.close()

    def _take(self, resources: Sequence[Named]) -> None:
        self._roles = Roles(resources)
        log.info("%d roles and bindings", len(resources))


def _root(url: str) -> Path:
    if url.startswith(FOLDER):
        return Path(url.removeprefix(FOLDER))
    if not url.startswith(KUBERNETES):
        raise AdapterError(f"configStoreUrl: must be fs:// and a folder, or k8s://, got {url!r}")
    if DEFAULTS.config is None:
        raise AdapterError("configStoreUrl: k8s:// means Mixer's configuration folder, and it has none; use fs://")
    return DEFAULTS.config


class Rbac:
    """Builds handlers that read roles; k8s://, the default, is wherever Mixer's own configuration is."""

    name: ClassVar[str] = "rbac"
    templates: ClassVar[frozenset[str]] = frozenset({"authorization"})

    async def build(self, params: Mapping[str, object], environment: Environment) -> Handler:
        known = read(Params, params)
        handler = RbacHandler(known, _root(known.config_store_url))
        await handler.start()
        return handler


ADAPTER = Rbac()
