"""The thread in which Pilot computes, so that the event loop only moves bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
ResultT = TypeVar("ResultT")


class Workshop:
    """One thread, one call at a time: it owns the sessions and what was generated, so neither needs a lock.

    The event loop owns sockets and queues, and reads only what never changes (a mesh) or is replaced as a whole.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="workshop")

    async def run(self, function: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
        """What the function returns or raises, called after all that was asked for before."""
        return await asyncio.wrap_future(self._thread.submit(function, *args, **kwargs))

    def close(self) -> None:
        """End the thread after the call that runs now; nothing else may be asked for."""
        self._thread.shutdown(wait=True, cancel_futures=True)
