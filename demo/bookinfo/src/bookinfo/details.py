"""details: the facts about a book."""

from __future__ import annotations

from aiohttp import web

from bookinfo.service import add_health, new_application, numeric_id
from bookinfo.settings import Settings


def make_details(settings: Settings) -> web.Application:
    app = new_application(settings)
    add_health(app, "Details is healthy")
    app.router.add_get("/details/{id}", details)
    return app


async def details(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "id": numeric_id(request, "please provide numeric product id"),
            "author": "William Shakespeare",
            "year": 1595,
            "type": "paperback",
            "pages": 200,
            "publisher": "PublisherA",
            "language": "English",
            "ISBN-10": "1234567890",
            "ISBN-13": "123-1234567890",
        }
    )
