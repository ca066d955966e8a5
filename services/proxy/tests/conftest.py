"""Lets the tests import the support modules beside this file."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def pytest_configure(config: pytest.Config) -> None:
    """Markers of this package's tests."""
    config.addinivalue_line("markers", "netns: needs root and makes network namespaces")
