"""A connection to the daemon that is made when needed, and made again when the daemon went away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mizzen.runtime.address import Address

CLOSE_SECONDS = 1.0


class Connection:
    """Writes to one address. After an error the next write connects anew."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def write(self, data: Sequence[bytes]) -> None:
        """Hand all of it to the system; raises OSError. The caller bounds the time."""
        writer = await self._writer()
        try:
            writer.writelines(data)
            await writer.drain()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close, whatever state it is in."""
        if self._streams is None:
            return
        (_, writer), self._streams = self._streams, None
        writer.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await writer.wait_closed()
        except (OSError, TimeoutError):
            writer.transport.abort()

    async def _writer(self) -> asyncio.StreamWriter:
        # The daemon sends nothing, so the end of its stream is the only sign that it has gone; without a look at it
        # the first batch afterwards would be written into the void.
        if self._streams is not None and self._streams[0].at_eof():
            await self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
            self._streams[1].transport.set_write_buffer_limits(0)  # drain() then means: all of it left the process
        return self._streams[1]
