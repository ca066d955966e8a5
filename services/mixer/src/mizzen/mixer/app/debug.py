"""Pages for people and for `mizzen` on the monitoring port: what policy is in force."""

from __future__ import annotations

import json

from aiohttp import web

from mizzen.mixer.app.pages import Page, pages
from mizzen.mixer.server.policy import Engine
from mizzen.runtime.monitoring import Handler


def debug_pages(engine: Engine) -> dict[str, Handler]:
    """The `/debug` pages by path; all are JSON."""
    return {path: _handler(page) for path, page in pages(engine).items()}


def _handler(page: Page) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        try:
            data = await page(request.query)
        except ValueError as error:
            return web.Response(text=f"{error}\n", status=400)
        return web.Response(text=json.dumps(data, indent=2) + "\n", content_type="application/json")

    return answer
