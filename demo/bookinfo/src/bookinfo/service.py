"""What all four services are made of: an aiohttp application with a health check and the workload's name."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from bookinfo.settings import Settings
from bookinfo.upstream import client_context

WORKLOAD_HEADER = "x-mizzen-workload"
MAX_DIGITS = 18
SETTINGS = web.AppKey("settings", Settings)


def new_application(settings: Settings) -> web.Application:
    """An application without routes that names its workload in every response, errors included."""

    @web.middleware
    async def name_workload(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPException as error:
            error.headers[WORKLOAD_HEADER] = settings.workload
            raise
        response.headers[WORKLOAD_HEADER] = settings.workload
        return response

    app = web.Application(middlewares=[name_workload])
    app[SETTINGS] = settings
    app.cleanup_ctx.append(client_context)
    return app


def add_health(app: web.Application, text: str) -> None:
    """`/health` answers with the sample's words."""

    async def health(request: web.Request) -> web.Response:
        return web.json_response({"status": text})

    app.router.add_get("/health", health)


def numeric_id(request: web.Request, complaint: str) -> int:
    """The product id of the path; 400 with the sample's complaint when it is not a number."""
    text = request.match_info["id"]
    if not text.isdecimal() or len(text) > MAX_DIGITS:
        raise web.HTTPBadRequest(text=f'{{"error": "{complaint}"}}', content_type="application/json")
    return int(text)
