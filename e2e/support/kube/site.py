"""Where the servers of a control plane run."""

from __future__ import annotations

from typing import Protocol


class Site(Protocol):
    """Loopback, or a machine of its own."""

    @property
    def services(self) -> str:
        """Addresses of Services, CIDR."""
        ...

    @property
    def address(self) -> str:
        """At which the API server is known to others."""
        ...

    def command(self, *command: str) -> list[str]:
        """The command line that runs it there."""
        ...

    def expose(self, port: int) -> None:
        """Have 127.0.0.1:port of this machine lead to that port over there."""
        ...


class Loopback:
    """Here. Services have addresses of loopback, so that a process of a test can stand at one."""

    services = "127.96.0.0/16"
    address = "127.0.0.1"

    def command(self, *command: str) -> list[str]:
        return list(command)

    def expose(self, port: int) -> None:
        """It is there already."""
