"""The debug pages of a Mixer in the agent, on the agent's own HTTP server."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

from mizzen.proxy.app.servers import Handler, Request, Response, Routes

Page = Callable[[Mapping[str, str]], Awaitable[object]]
"""From a query to what JSON can hold; raises ValueError for a query that is wrong."""


def mixer_routes(pages: Mapping[str, Page]) -> Routes:
    """For the admin port; `pages` are by path."""
    return {("GET", path): _handler(page) for path, page in pages.items()}


def _handler(page: Page) -> Handler:
    async def answer(request: Request) -> Response:
        try:
            data = await page(request.query)
        except ValueError as error:
            return Response(f"{error}\n", status=400)
        return Response(json.dumps(data, indent=2) + "\n", content_type="application/json")

    return answer
