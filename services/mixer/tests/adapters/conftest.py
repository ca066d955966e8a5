"""Fixtures for the adapters' tests: handlers from parameters, closed afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from mizzen.mixer.adapter import Environment, Handler, Use
from mizzen.mixer.adapters import registry

Build = Callable[..., Awaitable[Handler]]


@pytest.fixture
async def build(request: pytest.FixtureRequest) -> AsyncIterator[Build]:
    """Makes handlers, named after the test and closed at its end unless the test closed them."""
    open_handlers: dict[int, Callable[[], Awaitable[None]]] = {}

    async def make(adapter: str, params: dict | None = None, uses: tuple[Use, ...] = ()) -> Handler:
        found = registry.find(adapter)
        assert found is not None
        environment = Environment(f"{request.node.name}.{adapter}.istio-system", "istio-system", uses)
        handler = await found.build(params or {}, environment)
        open_handlers[id(handler)] = handler.close

        async def close() -> None:
            await open_handlers.pop(id(handler))()

        handler.close = close
        return handler

    yield make
    for close in list(open_handlers.values()):
        await close()
