"""The identity of a workload whose proxy is a stock Envoy: kept here, and given to it by SDS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mizzen.proxy.app.identity.sds_server import SdsServer
from mizzen.proxy.app.identity.secret_store import SecretStore
from mizzen.proxy.app.identity.settings import IdentitySettings
from mizzen.proxy.app.identity.workload import WorkloadIdentity


@asynccontextmanager
async def serving_secrets(settings: IdentitySettings, socket: Path) -> AsyncIterator[None]:
    """Keep a good certificate and serve it on this socket, from before Envoy starts until it has ended. StartError."""
    store = SecretStore()
    server = SdsServer(store)
    try:
        await server.start(socket)
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(WorkloadIdentity(settings, store.keep).run())
            yield
            keeping.cancel()
    finally:
        await server.close()
