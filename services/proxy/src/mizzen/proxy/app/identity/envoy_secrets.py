"""The secrets of a stock Envoy: its workload's identity, kept good here, and what is in files; given to it by SDS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mizzen.identity.keeping.settings import IdentitySettings
from mizzen.proxy.app.identity.sds_server import SdsServer
from mizzen.proxy.app.identity.secret_store import SecretStore
from mizzen.proxy.app.identity.workload import WorkloadIdentity


@asynccontextmanager
async def serving_secrets(identity: IdentitySettings | None, socket: Path) -> AsyncIterator[None]:
    """Serve them on this socket, from before Envoy starts until it has ended. Raises StartError.

    Without an identity the workload's own certificate stays unanswered for.
    """
    store = SecretStore()
    server = SdsServer(store)
    try:
        await server.start(socket)
        async with asyncio.TaskGroup() as tasks:
            keeping = [tasks.create_task(store.watch())]
            if identity is not None:
                keeping.append(tasks.create_task(WorkloadIdentity(identity, store.keep).run()))
            yield
            for task in keeping:
                task.cancel()
    finally:
        await server.close()
