"""What our workers run, in this process, on a loop and a thread of its own: the test's clients may block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from mizzen.proxy.io.runtime import Runtime

STALL_SECONDS = 20


@contextmanager
def started(start: Callable[[], Coroutine[Any, Any, Runtime]]) -> Iterator[Runtime]:
    """The runtime that `start` makes, until it has drained."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        runtime = asyncio.run_coroutine_threadsafe(start(), loop).result(STALL_SECONDS)
        yield runtime
        asyncio.run_coroutine_threadsafe(runtime.drain(0.0, stop=True), loop).result(STALL_SECONDS)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
