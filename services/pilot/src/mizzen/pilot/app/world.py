"""The current mesh, rebuilt from what the stores hold."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from mizzen.api.problem import Problem
from mizzen.api.resource import ResourceKey
from mizzen.api.store.contents import Contents, Store, merge
from mizzen.pilot.app.meshconfig import MeshConfigSource
from mizzen.pilot.app.metrics import MeshMetrics
from mizzen.pilot.ingest.config.files import config_of
from mizzen.pilot.ingest.keys.keeper import KeyKeeper
from mizzen.pilot.ingest.registry.files import registry_of
from mizzen.pilot.snapshot.build import ENDPOINT_KINDS, build, refresh_endpoints
from mizzen.pilot.snapshot.diff import Change, difference
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.outofforce import out_of_force
from mizzen.runtime.errors import StartError

log = logging.getLogger(__name__)

MESH_CONFIG = ResourceKey("MeshConfig", "", "mesh")
"""Stands for the mesh's settings among changed keys."""
TOKEN_KEYS = ResourceKey("JSONWebKeySet", "", "tokens")
"""Stands for the keys of issuers of tokens among changed keys."""


class World:
    """Holds one mesh at a time. A build that fails is logged and the last mesh stays."""

    def __init__(
        self,
        stores: Sequence[Store],
        settings: MeshConfigSource,
        metrics: MeshMetrics,
        wall_clock: Callable[[], float],
        keys: KeyKeeper | None = None,
    ) -> None:
        self._stores = stores
        self._settings = settings
        self._metrics = metrics
        self._wall_clock = wall_clock
        self._keys = keys
        self._count = 0
        self._whole = True
        """The next build must look at everything."""
        self._kept_out = 0
        """Findings about resources that the mesh in preparation is made without."""
        self._unprotected: tuple[Problem, ...] = ()
        self.mesh = Mesh()

    def contents(self) -> Contents:
        """What all stores hold; the first store wins where two have the same resource."""
        return merge(store.contents for store in self._stores)

    def is_current(self) -> bool:
        """Whether the mesh is made of what the stores hold now."""
        contents = self.contents()
        wanted = (*registry_of(contents).resources, *config_of(contents))
        return {resource.key: resource for resource in wanted} == dict(self.mesh.resources)

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the resources, by themselves and together."""
        contents = self.contents()
        return (*contents.problems, *out_of_force(contents), *self.mesh.problems)

    def begin(self) -> None:
        """Build the first mesh; raises StartError.

        Without it there is nothing to serve: an empty mesh would take routes and policies from proxies that come back.
        """
        self._whole = True
        self.rebuild(())
        if self._whole:
            raise StartError("the first mesh cannot be built of this configuration; the log says why")

    def rebuild(self, keys: Iterable[ResourceKey]) -> Change:
        """Take over what changed; the difference between the mesh before and after."""
        new, change = self.prepare(keys)
        self.use(new)
        return change

    def prepare(self, keys: Iterable[ResourceKey]) -> tuple[Mesh, Change]:
        """The mesh with what changed, and how it differs; for `use`. Only one may be in preparation."""
        try:
            with self._metrics.build_seconds.time(), _without_collector():
                new = self._built(frozenset(keys))
            change = difference(self.mesh, new)
        except Exception:
            log.exception("Cannot build the mesh; the last one stays in use")
            self._metrics.build_errors.inc()
            self._whole = True
            return self.mesh, Change()
        self._whole = False
        return new, change

    def use(self, mesh: Mesh) -> None:
        """Make it the current one."""
        old, self.mesh = self.mesh, mesh
        self._metrics.observe(mesh, self._kept_out)
        if self._keys is not None and mesh.key_sources != old.key_sources:
            self._keys.want(mesh.key_sources)
        for problem in mesh.problems:
            if problem not in old.problems:
                log.warning("%s", problem)

    def new_version(self) -> str:
        """A text that no other mesh has."""
        self._count += 1
        moment = datetime.fromtimestamp(self._wall_clock(), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return f"{moment}/{self._count}"

    def _built(self, keys: frozenset[ResourceKey]) -> Mesh:
        contents = self.contents()
        self._judge(contents)
        version = self.new_version()
        if not self._whole and all(key.kind in ENDPOINT_KINDS for key in keys):
            return refresh_endpoints(keys, contents.resources, self.mesh, version)
        known = self._keys.known if self._keys is not None else None
        return build(config_of(contents), registry_of(contents), self.mesh, version, self._settings.settings, known)

    def _judge(self, contents: Contents) -> None:
        """Say aloud what protects nobody: a mesh without a policy looks like one that needs none."""
        before, self._unprotected = self._unprotected, tuple(out_of_force(contents))
        self._kept_out = len(contents.problems) + len(self._unprotected)
        for problem in self._unprotected:
            if problem not in before:
                log.error("%s", problem)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Building makes hundreds of thousands of objects and no cycles.

    The collector would walk all that lives for it, again and again, and every thread waits for it meanwhile.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
