"""An Envoy whose routes can be replaced while it runs: it watches a file for them, as it would watch Pilot."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from envoy.config.core.v3 import config_source_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.service.discovery.v3 import discovery_pb2
from simulation.harness.echo import echo_server
from simulation.harness.envoy import RealEnvoy, running
from simulation.harness.instrument import echo_cluster, observe
from simulation.harness.world import HCM

NAME = "live"
PUSH_SECONDS = 10


class LiveRoutes:
    """One listener, and the route configuration behind it."""

    def __init__(self, envoy: RealEnvoy, file: Path) -> None:
        self.envoy = envoy
        self.file = file
        self.version = 0
        self.port = envoy.ports[NAME]

    def push(self, routes: route_pb2.RouteConfiguration) -> None:
        """Return when requests see these routes; AssertionError when Envoy refuses them."""
        instrumented = route_pb2.RouteConfiguration()
        instrumented.CopyFrom(routes)
        instrumented.name = NAME
        observe(instrumented)
        self.version += 1
        instrumented.metadata.filter_metadata["simulation"]["version"] = self.version  # equal routes are no update
        _write(self.file, instrumented, str(self.version))
        deadline = time.monotonic() + PUSH_SECONDS
        while True:
            config = self.envoy.get("/config_dump?resource=dynamic_route_configs")["configs"][0]
            if config.get("version_info") == str(self.version):
                return
            refused = config.get("error_state")
            assert refused is None or refused.get("version_info") != str(self.version), refused
            assert time.monotonic() < deadline, f"Envoy did not take the routes: {config}"
            time.sleep(0.002)


@contextmanager
def live_routes(folder: Path, template: listener_pb2.Listener, clusters: list[str]) -> Iterator[LiveRoutes]:
    """An Envoy with a listener like `template`, whose clusters all lead to the echo server."""
    file = folder / "routes.pb"
    _write(file, route_pb2.RouteConfiguration(name=NAME), "0")
    listener = listener_pb2.Listener()
    listener.CopyFrom(template)
    listener.name = NAME
    listener.address.socket_address.port_value = 0
    for filter_ in (filter_ for chain in listener.filter_chains for filter_ in chain.filters if filter_.name == HCM):
        manager = hcm_pb2.HttpConnectionManager()
        filter_.typed_config.Unpack(manager)
        manager.rds.route_config_name = NAME
        source = config_source_pb2.ConfigSource(resource_api_version=config_source_pb2.V3)
        source.path_config_source.path = str(file)
        manager.rds.config_source.CopyFrom(source)
        filter_.typed_config.Pack(manager)
    with (
        echo_server() as port,
        running(folder, [listener], [echo_cluster(name, port) for name in clusters]) as envoy,
    ):
        yield LiveRoutes(envoy, file)


def _write(file: Path, routes: route_pb2.RouteConfiguration, version: str) -> None:
    """Replace the file by moving, which is what Envoy watches for."""
    response = discovery_pb2.DiscoveryResponse(version_info=version)
    response.resources.add().Pack(routes)
    temporary = file.with_suffix(".tmp")
    temporary.write_bytes(response.SerializeToString())
    temporary.replace(file)
