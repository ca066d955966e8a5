"""The certificate authority of a Pilot under measurement, and the tokens by which sidecars get certificates."""

from __future__ import annotations

from pathlib import Path

from bench.scenario import Address
from mizzen.cli.local import security
from mizzen.cli.local.home import Home
from mizzen.runtime.address import unused_port

NAMESPACE = "default"


class Authority:
    """That of a mesh whose home is a folder, at an address of Pilot."""

    def __init__(self, address: str, folder: Path) -> None:
        self._home = Home(folder)
        self._address = str(Address(address, unused_port(address)))
        self._issuer = security.TokenIssuer(self._home)

    def pilot_flags(self) -> tuple[str, ...]:
        return security.pilot_flags(self._home, self._address)

    def flags(self, account: str) -> tuple[str, ...]:
        """For the agent of a workload with that ServiceAccount."""
        return self._issuer.flags(account, NAMESPACE, account, self._address)
