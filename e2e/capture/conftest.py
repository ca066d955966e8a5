"""Tests in network namespaces: they need root, iproute2 and both back ends of iptables, and touch nothing outside."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from capture.harness.hosts import Network, network

HERE = Path(__file__).parent
PROGRAMS = (
    *("ip", "setpriv", "curl", "redis-server", "redis-cli"),
    *("iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):  # pytest hands over those of all folders
            item.add_marker(pytest.mark.netns)


@pytest.fixture(scope="session", autouse=True)
def needs() -> None:
    """Say at once what is missing."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        pytest.exit(f"these tests need root and the programs {', '.join(PROGRAMS)}; missing: {missing or 'root'}", 1)


@pytest.fixture
def hosts() -> Iterator[Network]:
    with network() as made:
        yield made
