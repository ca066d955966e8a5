"""Figures about the mesh, under the names that Istio's dashboards know."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.xds.metrics import PlainCounter


class MeshMetrics:
    """What the current mesh consists of, and how it came about."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._services = Gauge("pilot_services", "Services known to Pilot.", registry=registry)
        self._virtual_services = Gauge("pilot_virt_services", "VirtualServices known to Pilot.", registry=registry)
        self._problems = Gauge(
            "pilot_config_problems", "Findings about resources that keep them or parts of them out.", registry=registry
        )
        self.updates = PlainCounter("pilot_inbound_updates", "Changes received.", ["type"], registry=registry)
        self.triggers = PlainCounter(
            "pilot_push_triggers", "Bursts of changes that were built.", ["type"], registry=registry
        )
        self.build_errors = Counter("pilot_build_errors", "Meshes that could not be built.", registry=registry)
        self.build_seconds = Histogram(
            "pilot_pushcontext_init_seconds",
            "Seconds to build a mesh.",
            buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 3, 5),
            registry=registry,
        )

    def observe(self, mesh: Mesh, kept_out: int) -> None:
        """Count what is in a new mesh; `kept_out` findings are about resources that are not."""
        self._services.set(len(mesh.services))
        self._virtual_services.set(sum(key.kind == "VirtualService" for key in mesh.resources))
        self._problems.set(len(mesh.problems) + kept_out)
