"""The two data planes that let visitors in or do not: a stock Envoy, and our engine in this process."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from simulation.harness.admission import HERE, PORTS, Identities, LetsIn, Speaks, Visitor, Workload, lets_in
from simulation.harness.capture import reachable
from simulation.harness.envoy import running
from simulation.harness.simulate import compiled

from mizzen.proxy.app.identity.secret_store import secret_message
from mizzen.proxy.engine.control import Update
from mizzen.proxy.engine.plan import ListenerPlan, Plan
from mizzen.proxy.io.runtime import Runtime

STEP_SECONDS = 30


@contextmanager
def envoy(workloads: Sequence[Workload], folder: Path) -> Iterator[LetsIn]:
    """One Envoy with the listeners of all workloads. The secrets for which it would ask its agent it has at once."""
    identities = Identities()
    secrets = [secret_message(plan) for plan in identities.secrets()]
    with reachable(*(each.world for each in workloads), servers_first=False) as clusters:
        listeners = [_for_envoy(workload, speaks) for workload, speaks in product(workloads, PORTS)]
        with running(folder, listeners, clusters, secrets) as process:
            yield _asking(process.ports, identities)


@contextmanager
def mizzen(workloads: Sequence[Workload]) -> Iterator[LetsIn]:
    """What our workers run."""
    identities = Identities()
    with reachable(*(each.world for each in workloads), servers_first=False) as clusters:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            starting = asyncio.run_coroutine_threadsafe(_start(workloads, clusters, identities), loop)
            runtime, ports = starting.result(STEP_SECONDS)
            yield _asking(ports, identities)
            asyncio.run_coroutine_threadsafe(runtime.drain(0.0, stop=True), loop).result(STEP_SECONDS)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


def _asking(ports: Mapping[str, int], identities: Identities) -> LetsIn:
    def ask(workload: str, speaks: Speaks, visitor: Visitor) -> bool:
        return lets_in(ports[f"{workload} {speaks}"], speaks, visitor, identities)

    return ask


async def _start(
    workloads: Iterable[Workload], clusters: Iterable[cluster_pb2.Cluster], identities: Identities
) -> tuple[Runtime, dict[str, int]]:
    runtime = Runtime(asyncio.get_running_loop(), random.random)
    plans: list[Plan] = [*identities.secrets(), *map(compiled, clusters)]
    sockets: dict[str, socket.socket] = {}
    for workload, speaks in product(workloads, PORTS):
        plan: ListenerPlan = compiled(workload.listener(speaks))
        plans.append(plan)
        (name,) = plan.sockets
        sockets[name] = socket.create_server((HERE, workload.port(speaks)))
    await runtime.apply(Update(1, tuple(plans), sockets=tuple(sockets)), sockets)
    return runtime, {name: opened.getsockname()[1] for name, opened in sockets.items()}


def _for_envoy(workload: Workload, speaks: Speaks) -> listener_pb2.Listener:
    """Its secrets are those of the bootstrap: names without a source."""
    listener = workload.listener(speaks)
    listener.address.socket_address.port_value = workload.port(speaks)
    for chain in listener.filter_chains:
        if chain.HasField("transport_socket"):
            context = tls_pb2.DownstreamTlsContext()
            assert chain.transport_socket.typed_config.Unpack(context)
            common = context.common_tls_context
            for secret in common.tls_certificate_sds_secret_configs:
                secret.ClearField("sds_config")
            common.combined_validation_context.validation_context_sds_secret_config.ClearField("sds_config")
            chain.transport_socket.typed_config.Pack(context)
    return listener
