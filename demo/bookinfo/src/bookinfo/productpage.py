"""productpage: the page that a visitor sees, and the same as JSON."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bookinfo.headers import forwarded
from bookinfo.page import Page, render_home, render_page
from bookinfo.service import SETTINGS, add_health, new_application, numeric_id
from bookinfo.settings import Settings
from bookinfo.upstream import CLIENT, UpstreamError, fetch_json

PRODUCT = {
    "id": 0,
    "title": "The Comedy of Errors",
    "descriptionHtml": (
        '<a href="https://en.wikipedia.org/wiki/The_Comedy_of_Errors">Wikipedia Summary</a>: The Comedy of Errors is '
        "one of <b>William Shakespeare's</b> early plays. It is his shortest and one of his most farcical comedies, "
        "with a major part of the humour coming from slapstick and mistaken identity, in addition to puns and word "
        "play."
    ),
}
USER_COOKIE = "user"
SECONDS = 3.0
REVIEWS_TRIES = 2
MAX_USER_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """What another service said, or the sample's apology with the status that came instead."""

    status: int
    body: Any


def make_productpage(settings: Settings) -> web.Application:
    app = new_application(settings)
    add_health(app, "Product page is healthy")
    app.router.add_get("/", home)
    app.router.add_get("/index.html", home)
    app.router.add_get("/productpage", page)
    app.router.add_post("/login", login)
    app.router.add_get("/logout", logout)
    app.router.add_get("/api/v1/products", products)
    app.router.add_get("/api/v1/products/{id}", product_details)
    app.router.add_get("/api/v1/products/{id}/reviews", product_reviews)
    app.router.add_get("/api/v1/products/{id}/ratings", product_ratings)
    return app


async def home(request: web.Request) -> web.Response:
    return web.Response(text=render_home(), content_type="text/html")


async def page(request: web.Request) -> web.Response:
    details, reviews = await asyncio.gather(_details(request, 0), _reviews(request, 0))
    shown = Page(
        product=PRODUCT,
        user=_user(request),
        details=details.body,
        details_ok=details.status == 200,
        reviews=reviews.body,
        reviews_ok=reviews.status == 200,
        workload=request.app[SETTINGS].workload,
    )
    return web.Response(text=render_page(shown), content_type="text/html")


async def login(request: web.Request) -> web.Response:
    """Remember the name; there are no passwords in this demo, as in the sample."""
    form = await request.post()
    user = str(form.get("username", "")).strip()[:MAX_USER_LENGTH]
    response = web.Response(status=302, headers={"location": "/productpage"})
    if user.isprintable() and user.isascii() and user:
        response.set_cookie(USER_COOKIE, user, httponly=True, samesite="Lax")
    return response


async def logout(request: web.Request) -> web.Response:
    response = web.Response(status=302, headers={"location": "/productpage"})
    response.del_cookie(USER_COOKIE)
    return response


async def products(request: web.Request) -> web.Response:
    return web.json_response([PRODUCT])


async def product_details(request: web.Request) -> web.Response:
    return _json(await _details(request, _product(request)))


async def product_reviews(request: web.Request) -> web.Response:
    return _json(await _reviews(request, _product(request)))


async def product_ratings(request: web.Request) -> web.Response:
    settings = request.app[SETTINGS]
    return _json(await _ask(request, f"{settings.ratings}/ratings/{_product(request)}", "product ratings"))


def _json(answer: Answer) -> web.Response:
    return web.json_response(answer.body, status=answer.status)


def _product(request: web.Request) -> int:
    return numeric_id(request, "please provide numeric product id")


def _user(request: web.Request) -> str:
    return request.cookies.get(USER_COOKIE, "")


def _headers(request: web.Request) -> dict[str, str]:
    """What goes on; a visitor who has logged in becomes the header `end-user`, which routing rules match."""
    headers = forwarded(request.headers)
    user = _user(request)
    if user.isprintable() and user.isascii() and user:
        headers["end-user"] = user
    return headers


async def _details(request: web.Request, product: int) -> Answer:
    return await _ask(request, f"{request.app[SETTINGS].details}/details/{product}", "product details")


async def _reviews(request: web.Request, product: int) -> Answer:
    url = f"{request.app[SETTINGS].reviews}/reviews/{product}"
    return await _ask(request, url, "product reviews", tries=REVIEWS_TRIES)


async def _ask(request: web.Request, url: str, what: str, tries: int = 1) -> Answer:
    status = 500
    for _ in range(tries):
        try:
            return Answer(
                200, await fetch_json(request.app[CLIENT], request.app[SETTINGS], url, _headers(request), SECONDS)
            )
        except UpstreamError as error:
            status = error.status
    return Answer(status, {"error": f"Sorry, {what} are currently unavailable for this book."})
