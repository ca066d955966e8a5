"""A mesh as one proxy sees it."""

from __future__ import annotations

import logging

from mizzen.pilot.generate.api import generate
from mizzen.pilot.generate.clusters import stand_in
from mizzen.pilot.generate.encoded import Encoded
from mizzen.pilot.generate.failure import describe
from mizzen.pilot.generate.harvest import Generated
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.proxy import Proxy
from mizzen.pilot.xds.metrics import ServingMetrics, short_name
from mizzen.pilot.xds.session import GenerationError

log = logging.getLogger(__name__)

MAX_REMEMBERED = 1000


class FailureLog:
    """Says what could not be generated once for each mesh, not once for each of a thousand proxies."""

    def __init__(self, metrics: ServingMetrics) -> None:
        self._metrics = metrics
        self._version = ""
        self._said: set[tuple[str, str, str]] = set()

    def note(self, version: str, proxy: Proxy, type_url: str, name: str, reason: str) -> None:
        """A resource of a type, or (`*`) the whole type, could not be generated for a proxy."""
        self._metrics.internal_errors.inc()
        if version != self._version:
            self._version = version
            self._said.clear()
        failure = (type_url, name, reason)
        if failure in self._said or len(self._said) >= MAX_REMEMBERED:
            return
        self._said.add(failure)
        log.error("Cannot generate %s %s for %s: %s", short_name(type_url), name, proxy.id, reason)


class MeshSource:
    """Generates from one mesh for one proxy; what fails is logged and counted, and the proxy keeps what it has."""

    def __init__(self, mesh: Mesh, proxy: Proxy, failures: FailureLog) -> None:
        self._mesh = mesh
        self._proxy = proxy
        self._failures = failures

    @property
    def version(self) -> str:
        return self._mesh.version

    def resources(self, type_url: str, names: frozenset[str] | None) -> Generated:
        """See `Source.resources`."""
        try:
            made = generate(type_url, self._proxy, self._mesh, names)
        except Exception as error:
            log.debug("Cannot generate %s", short_name(type_url), exc_info=True)
            self._failures.note(self.version, self._proxy, type_url, "*", describe(error))
            raise GenerationError(describe(error)) from error
        for name, reason in made.failures.items():
            self._failures.note(self.version, self._proxy, type_url, name, reason)
        return made

    def stand_in(self, name: str) -> Encoded:
        """See `Source.stand_in`."""
        return stand_in(name)
