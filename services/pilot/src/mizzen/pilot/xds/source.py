"""A mesh as one proxy sees it."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from mizzen.pilot.generate.api import generate
from mizzen.pilot.generate.encoded import Encoded
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.proxy import Proxy
from mizzen.pilot.xds.metrics import ServingMetrics, short_name
from mizzen.pilot.xds.session import GenerationError

log = logging.getLogger(__name__)


class MeshSource:
    """Generates from one mesh for one proxy; what fails is logged and counted, and the proxy keeps what it has."""

    def __init__(self, mesh: Mesh, proxy: Proxy, metrics: ServingMetrics) -> None:
        self._mesh = mesh
        self._proxy = proxy
        self._metrics = metrics

    @property
    def version(self) -> str:
        return self._mesh.version

    def resources(self, type_url: str, names: frozenset[str] | None) -> Mapping[str, Encoded]:
        """See `Source.resources`."""
        try:
            return generate(type_url, self._proxy, self._mesh, names)
        except Exception as error:
            log.exception("Cannot generate %s for %s; it keeps what it has", short_name(type_url), self._proxy.id)
            self._metrics.internal_errors.inc()
            raise GenerationError(str(error)) from error
