"""A whole Pilot in the loop of a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mizzen.pilot.app.pilot import Pilot

START_SECONDS = 30


@asynccontextmanager
async def serving(pilot: Pilot) -> AsyncIterator[Pilot]:
    """Started, and following its sources until the block ends."""
    following: asyncio.Future[None] = asyncio.ensure_future(asyncio.sleep(0))
    try:
        async with asyncio.timeout(START_SECONDS):
            await pilot.start()
        following = asyncio.ensure_future(pilot.run())
        yield pilot
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await pilot.close()
