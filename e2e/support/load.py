"""Steady load through the gateway while something happens to the mesh."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.mesh import GATEWAY, Answer, get

MAX_SECONDS = 60
PAUSE = 0.01


@dataclass
class Load:
    """What the clients saw: how many answers, and every one that was not a 200."""

    answered: int = 0
    failed: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, answer: Answer | Exception) -> None:
        with self.lock:
            if isinstance(answer, Answer) and answer.status == 200:
                self.answered += 1
            elif isinstance(answer, Answer):
                self.failed.append(f"{answer.status} {answer.headers.get('x-mesh-reason', '')} {answer.body[:200]!r}")
            else:
                self.failed.append(repr(answer))


@contextmanager
def under_load(path: str, clients: int = 4, seconds: float = MAX_SECONDS) -> Iterator[Load]:
    """Some clients request the path over kept-alive connections for as long as the block runs, `seconds` at most."""
    load = Load()
    stop = threading.Event()
    deadline = time.monotonic() + seconds

    def client() -> None:
        connection = http.client.HTTPConnection(*GATEWAY, timeout=10)
        while not stop.is_set() and time.monotonic() < deadline:
            try:
                load.record(get(path, connection=connection))
            except (OSError, http.client.HTTPException) as error:
                load.record(error)
                connection.close()
            stop.wait(PAUSE)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=15)
