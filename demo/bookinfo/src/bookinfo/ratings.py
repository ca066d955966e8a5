"""ratings: the stars that each reviewer gave."""

from __future__ import annotations

import json

from aiohttp import web

from bookinfo.service import add_health, new_application, numeric_id
from bookinfo.settings import Settings

DEFAULT = {"Reviewer1": 5, "Reviewer2": 4}
COMPLAINT = "please provide numeric product ID"
MAX_BODY_BYTES = 64 * 1024
MAX_PRODUCTS = 1000
"""Posted ratings live in memory, so their number has a limit."""

POSTED = web.AppKey("posted", dict[int, dict[str, int]])


def make_ratings(settings: Settings) -> web.Application:
    app = new_application(settings)
    app[POSTED] = {}
    add_health(app, "Ratings is healthy")
    app.router.add_get("/ratings/{id}", get_ratings)
    app.router.add_post("/ratings/{id}", post_ratings)
    return app


async def get_ratings(request: web.Request) -> web.Response:
    product = numeric_id(request, COMPLAINT)
    return web.json_response({"id": product, "ratings": request.app[POSTED].get(product, DEFAULT)})


async def post_ratings(request: web.Request) -> web.Response:
    """Keep the posted ratings ({"Reviewer1": 3}) of a product until the process ends."""
    product = numeric_id(request, COMPLAINT)
    body = await request.content.read(MAX_BODY_BYTES + 1)
    try:
        ratings = json.loads(body) if len(body) <= MAX_BODY_BYTES else None
    except ValueError:
        ratings = None
    if not isinstance(ratings, dict) or not all(isinstance(stars, int) for stars in ratings.values()):
        return web.json_response({"error": "please provide valid ratings JSON"}, status=400)
    posted = request.app[POSTED]
    if product not in posted and len(posted) >= MAX_PRODUCTS:
        return web.json_response({"error": "too many products have ratings"}, status=507)
    posted[product] = ratings
    return web.json_response({"id": product, "ratings": ratings})
