"""Pages for people and for `mizzen`: what policy is in force."""

from __future__ import annotations

import json
from collections.abc import Callable

from aiohttp import web

from mizzen.mixer.server.policy import Engine
from mizzen.runtime.monitoring import Handler


def debug_pages(engine: Engine) -> dict[str, Handler]:
    """The `/debug` pages by path; all are JSON."""
    return {
        "/debug/config": _page(engine.show_config),
        "/debug/handlers": _page(engine.show_handlers),
        "/debug/rules": _page(engine.show_rules),
        "/debug/attributes": _page(engine.show_attributes),
    }


def _page(show: Callable[[], object]) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=json.dumps(show(), indent=2) + "\n", content_type="application/json")

    return answer
