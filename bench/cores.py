"""Who runs where."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


class Cores:
    """Proxies on one core, load and back end on another; on a machine with one core all share it."""

    def __init__(self) -> None:
        available = sorted(os.sched_getaffinity(0))
        self.proxy = {available[0]}
        self.rest = {available[1]} if len(available) > 1 else self.proxy


@contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """Processes that are started inside the block inherit these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
