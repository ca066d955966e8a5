"""Tests in network namespaces: they need root, iproute2 and both back ends of iptables, and touch nothing outside."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from capture.harness.hosts import Network, network

PROGRAMS = (
    *("ip", "setpriv", "curl", "redis-server", "redis-cli"),
    *("iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy"),
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "netns: needs root and makes network namespaces; `tox -e capture` runs these")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
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
