"""reviews: what two readers say; v1 without stars, v2 with black and v3 with red ones."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from bookinfo.headers import forwarded
from bookinfo.service import SETTINGS, add_health, new_application, numeric_id
from bookinfo.settings import Settings
from bookinfo.upstream import CLIENT, UpstreamError, fetch_json

REVIEWS = {
    "Reviewer1": "An extremely entertaining play by Shakespeare. The slapstick humour is refreshing!",
    "Reviewer2": (
        "Absolutely fun and entertaining. The play lacks thematic depth when compared to other plays by Shakespeare."
    ),
}
COLOURS = {"v2": "black", "v3": "red"}
RATINGS_SECONDS = {"black": 10.0, "red": 2.5}
"""The sample's patience with ratings; its fault-injection stories depend on the difference."""


def make_reviews(settings: Settings) -> web.Application:
    app = new_application(settings)
    add_health(app, "Reviews is healthy")
    app.router.add_get("/reviews/{id}", reviews)
    return app


async def reviews(request: web.Request) -> web.Response:
    product = numeric_id(request, "please provide numeric product id")
    settings = request.app[SETTINGS]
    colour = COLOURS.get(settings.version)
    ratings = await _ratings(request, settings, product, colour) if colour else {}
    return web.json_response(
        {
            "id": str(product),
            "podname": settings.pod or settings.workload,
            "clustername": settings.cluster,
            "reviews": [
                {"reviewer": reviewer, "text": text} | ({"rating": ratings[reviewer]} if colour else {})
                for reviewer, text in REVIEWS.items()
            ],
        }
    )


async def _ratings(request: web.Request, settings: Settings, product: int, colour: str) -> dict[str, dict[str, Any]]:
    """Each reviewer's rating, or the sample's error object when ratings is down or knows no stars of theirs."""
    url = f"{settings.ratings}/ratings/{product}"
    headers = forwarded(request.headers)
    try:
        answer = await fetch_json(request.app[CLIENT], settings, url, headers, RATINGS_SECONDS[colour])
        stars = answer["ratings"]
        known = {reviewer: stars[reviewer] for reviewer in REVIEWS if reviewer in stars}
    except (UpstreamError, KeyError, TypeError):
        known = {}
    unavailable = {"error": "Ratings service is currently unavailable"}
    return {
        reviewer: {"stars": known[reviewer], "color": colour} if reviewer in known else unavailable
        for reviewer in REVIEWS
    }
