"""`forward.py FD HOST PORT`: serves a listening socket that was opened in another network namespace.

It runs where HOST can be reached, and passes bytes both ways.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

CONNECT_SECONDS = 10.0
CHUNK = 65536


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def serve(listening: socket.socket, host: str, port: int) -> None:
    """Until the process ends."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                there_reader, there_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
        for stream in (writer, there_writer):
            stream.close()

    server = await asyncio.start_server(connected, sock=listening)
    await server.serve_forever()


if __name__ == "__main__":
    descriptor, target, number = sys.argv[1:]
    asyncio.run(serve(socket.socket(fileno=int(descriptor)), target, int(number)))
