"""Fixtures for the adapters' tests: handlers from parameters, closed afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from mizzen.mixer.adapter import Environment, Handler, Use
from mizzen.mixer.adapters import registry

Build = Callable[..., Awaitable[Handler]]


@pytest.fixture
async def build(request: pytest.FixtureRequest) -> AsyncIterator[Build]:
    """Make handlers named after the test: `await build("denier", {...}, uses=(...))`."""
    handlers: list[Handler] = []

    async def make(adapter: str, params: dict | None = None, uses: tuple[Use, ...] = ()) -> Handler:
        found = registry.find(adapter)
        assert found is not None
        environment = Environment(f"{request.node.name}.{adapter}.istio-system", "istio-system", uses)
        handler = await found.build(params or {}, environment)
        handlers.append(handler)
        return handler

    yield make
    for handler in handlers:
        await handler.close()
