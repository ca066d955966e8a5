"""A proxy that takes part."""

from __future__ import annotations

from bench.network import listens
from bench.process import Process, wait_until
from bench.scenario import Address


class Peer:
    """A started proxy: where its listener is, and which processes it consists of."""

    def __init__(self, name: str, address: Address, process: Process) -> None:
        self.name = name
        self.address = address
        self.process = process

    def pids(self) -> list[int]:
        """All processes whose CPU time and memory count."""
        return self.process.pids()

    def wait_ready(self) -> None:
        """Return when its listener accepts connections."""
        wait_until(lambda: listens(self.address.host, self.address.port), self.process, f"listening on {self.address}")

    def stop(self) -> None:
        self.process.stop()
