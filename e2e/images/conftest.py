from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.containers import Engine


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    try:
        yield engine
    finally:
        engine.clean()
