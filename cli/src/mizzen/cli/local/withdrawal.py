"""When a pod that is on its way out gets no new request any more: when Pilot says that every proxy knows."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import aiohttp

from mizzen.cli.local import layout

log = logging.getLogger(__name__)

PILOT_URL = f"http://{layout.PILOT}:{layout.MONITORING_PORT}"
POLL_SECONDS = 0.05
PATIENCE = 10.0
"""The most to wait for proxies that do not answer Pilot."""
UNTOLD_SECONDS = 1.5
"""To wait when Pilot does not tell: from a change to the last proxy that knows; watch and debounce are 0.2 s of it."""
APPLY_SECONDS = 0.1
"""From a proxy's ACK to the last of its workers."""


async def withdrawn(client: aiohttp.ClientSession, address: str, pilot: str = PILOT_URL) -> None:
    """Wait until no proxy sends anything to an address that is no endpoint any more; for a limited time."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                if await _unused(client, address, pilot):
                    break
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        log.warning("Not every proxy knows within %g s that %s is gone", PATIENCE, address)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        log.warning("Pilot does not tell who knows that %s is gone: %s", address, error or type(error).__name__)
        await asyncio.sleep(UNTOLD_SECONDS)
    else:
        await asyncio.sleep(APPLY_SECONDS)


async def _unused(client: aiohttp.ClientSession, address: str, pilot: str) -> bool:
    """Raises ValueError for an answer that is none."""
    async with client.get(f"{pilot}/debug/drainz", params={"address": address}) as response:
        response.raise_for_status()
        state: Any = await response.json()
    if not isinstance(state, dict) or not {"known", "behind"} <= state.keys():
        raise ValueError(f"/debug/drainz gave {state!r}")
    return not state["known"] and not state["behind"]
