"""The machine's own addresses."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from mizzen.proxy.app import addresses
from mizzen.proxy.io.original_dst import Kernel

TABLE = """\
00000000000000000000000000000006 01 80 80 80       lo
fd000000000000000000000000000005 02 40 00 80     eth0
fe800000000000000042acfffe120005 02 40 20 80     eth0
"""


def test_those_that_others_can_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table = tmp_path / "if_inet6"
    table.write_text(TABLE)
    monkeypatch.setattr(addresses, "_IPV6", table)
    monkeypatch.setattr("socket.if_nameindex", lambda: [(1, "lo"), (9, "gone")])
    assert addresses.own_addresses() == ("fd00::5",)


def test_they_are_this_machines() -> None:
    found = addresses.own_addresses()
    assert all(Kernel().is_own_address(address) for address in found)
    assert not any(ip_address(address).is_loopback for address in found)


def test_a_machine_without_ipv6(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(addresses, "_IPV6", tmp_path / "none")
    assert all(":" not in address for address in addresses.own_addresses())
