"""The four services answer what Istio's sample answers, also when one of them is down."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bookinfo.__main__ import MAKERS
from bookinfo.settings import Settings, read_settings

Client = TestClient[web.Request, web.Application]
NOWHERE = "http://127.0.0.1:1"


class Shop:
    """Starts services of the demo on free ports."""

    def __init__(self) -> None:
        self.clients: list[Client] = []

    async def start(self, service: str, **settings: Any) -> Client:
        known = {"details": NOWHERE, "reviews": NOWHERE, "ratings": NOWHERE} | settings
        client = TestClient(TestServer(MAKERS[service](Settings(service, **known))))
        await client.start_server()
        self.clients.append(client)
        return client

    async def close(self) -> None:
        for client in self.clients:
            await client.close()


@pytest.fixture
async def shop():
    shop = Shop()
    yield shop
    await shop.close()


def url(client: Client) -> str:
    return str(client.make_url("")).rstrip("/")


async def json_of(client: Client, path: str, **kwargs: Any) -> Any:
    async with client.get(path, **kwargs) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_details_gives_the_facts(shop: Shop) -> None:
    details = await shop.start("details")
    answer = await json_of(details, "/details/7")
    assert answer["id"] == 7
    assert answer["ISBN-13"] == "123-1234567890"


@pytest.mark.parametrize(("service", "path"), [("details", "/details/x"), ("ratings", "/ratings/x")])
async def test_an_id_that_is_no_number_is_refused(shop: Shop, service: str, path: str) -> None:
    client = await shop.start(service)
    async with client.get(path) as answer:
        assert answer.status == 400
        assert answer.headers["x-mizzen-workload"] == f"{service}-v1"
        assert "numeric product" in (await answer.json())["error"].lower()


@pytest.mark.parametrize("service", sorted(MAKERS))
async def test_every_service_is_healthy_and_names_itself(shop: Shop, service: str) -> None:
    client = await shop.start(service, version="v2")
    async with client.get("/health") as answer:
        assert (await answer.json())["status"].endswith("is healthy")
        assert answer.headers["x-mizzen-workload"] == f"{service}-v2"


async def test_posted_ratings_replace_the_default(shop: Shop) -> None:
    ratings = await shop.start("ratings")
    assert await json_of(ratings, "/ratings/0") == {"id": 0, "ratings": {"Reviewer1": 5, "Reviewer2": 4}}
    async with ratings.post("/ratings/0", json={"Reviewer1": 1}) as answer:
        assert answer.status == 200
    assert await json_of(ratings, "/ratings/0") == {"id": 0, "ratings": {"Reviewer1": 1}}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"Reviewer1": "five"}', b" " * 70_000])
async def test_bad_ratings_are_refused(shop: Shop, body: bytes) -> None:
    ratings = await shop.start("ratings")
    async with ratings.post("/ratings/0", data=body) as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    ("version", "rating"), [("v1", None), ("v2", {"stars": 5, "color": "black"}), ("v3", {"stars": 5, "color": "red"})]
)
async def test_the_version_of_reviews_decides_the_stars(shop: Shop, version: str, rating: Any) -> None:
    ratings = await shop.start("ratings")
    reviews = await shop.start("reviews", version=version, ratings=url(ratings), pod=f"reviews-{version}-1")
    answer = await json_of(reviews, "/reviews/0")
    assert answer["id"] == "0"
    assert answer["podname"] == f"reviews-{version}-1"
    assert answer["reviews"][0].get("rating") == rating


async def test_reviews_outlive_ratings(shop: Shop) -> None:
    reviews = await shop.start("reviews", version="v2")
    answer = await json_of(reviews, "/reviews/0")
    assert [review["rating"] for review in answer["reviews"]] == [
        {"error": "Ratings service is currently unavailable"}
    ] * 2


async def whole_shop(shop: Shop, version: str = "v2") -> Client:
    ratings, details = url(await shop.start("ratings")), url(await shop.start("details"))
    reviews = url(await shop.start("reviews", version=version, ratings=ratings))
    return await shop.start("productpage", ratings=ratings, details=details, reviews=reviews)


async def test_the_page_shows_book_reviews_and_stars(shop: Shop) -> None:
    page = await whole_shop(shop, "v3")
    async with page.get("/productpage") as answer:
        text = await answer.text()
        assert answer.content_type == "text/html"
    assert "The Comedy of Errors" in text
    assert "123-1234567890" in text
    assert text.count('class="stars red"') == 2
    assert "reviews-v3" in text


async def test_the_api_collects_what_the_services_say(shop: Shop) -> None:
    page = await whole_shop(shop)
    assert [product["id"] for product in await json_of(page, "/api/v1/products")] == [0]
    assert (await json_of(page, "/api/v1/products/0"))["pages"] == 200
    assert (await json_of(page, "/api/v1/products/0/ratings"))["ratings"]["Reviewer2"] == 4
    assert (await json_of(page, "/api/v1/products/0/reviews"))["reviews"][1]["rating"]["stars"] == 4


@pytest.mark.parametrize("missing", ["details", "reviews"])
async def test_the_page_apologises_for_a_service_that_is_down(shop: Shop, missing: str) -> None:
    up = {name: url(await shop.start(name)) for name in {"details", "reviews"} - {missing}}
    page = await shop.start("productpage", **up)
    async with page.get("/productpage") as answer:
        assert answer.status == 200
        text = await answer.text()
    assert f"Sorry, product {missing} are currently unavailable for this book." in text
    assert ("Reviewer1" in text) == (missing != "reviews")


async def echo_server(seen: list[dict[str, str]]) -> TestServer:
    async def handle(request: web.Request) -> web.Response:
        seen.append({name.lower(): value for name, value in request.headers.items()})
        return web.json_response({"podname": "echo", "reviews": []})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    server = TestServer(app)
    await server.start_server()
    return server


async def test_a_signed_in_user_and_the_trace_travel_on(shop: Shop) -> None:
    seen: list[dict[str, str]] = []
    echo = await echo_server(seen)
    page = await shop.start("productpage", reviews=str(echo.make_url("")).rstrip("/"))
    async with page.post("/login", data={"username": "jason", "passwd": ""}, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["location"]) == (302, "/productpage")
    trace = {"x-request-id": "r-1", "traceparent": "00-1-2-01", "x-b3-traceid": "b", "x-other": "not me"}
    await json_of(page, "/api/v1/products/0/reviews", headers=trace)
    async with page.get("/logout", allow_redirects=False) as answer:
        assert answer.status == 302
    await json_of(page, "/api/v1/products/0/reviews")
    await echo.close()
    first, second = seen
    assert {name: first.get(name) for name in trace} == {**trace, "x-other": None}
    assert first["end-user"] == "jason"
    assert "end-user" not in second


async def test_a_hostile_user_name_changes_neither_headers_nor_page(shop: Shop) -> None:
    page = await whole_shop(shop)
    async with page.get("/productpage", cookies={"user": "<script>alert(1)</script>"}) as answer:
        text = await answer.text()
    assert "<script>" not in text


async def test_calls_go_through_the_proxy(shop: Shop) -> None:
    seen: list[dict[str, str]] = []
    proxy = await echo_server(seen)
    page = await shop.start(
        "productpage", proxy=str(proxy.make_url("")).rstrip("/"), reviews="http://reviews.invalid:9080"
    )
    assert (await json_of(page, "/api/v1/products/0/reviews"))["podname"] == "echo"
    await proxy.close()
    assert seen[0]["host"] == "reviews.invalid:9080"


def test_settings_come_from_command_line_and_environment() -> None:
    environ = {"APP_ADDRESS": "127.2.0.3", "PORT": "9081", "http_proxy": "http://127.1.0.3:15007", "HOSTNAME": "r-1"}
    settings = read_settings(["reviews", "--version", "v3"], environ)
    assert settings.workload == "reviews-v3"
    assert (settings.address, settings.port, settings.pod) == ("127.2.0.3", 9081, "r-1")
    assert settings.proxy == "http://127.1.0.3:15007"


@pytest.mark.parametrize(("argv", "environ"), [(["nobody"], {}), (["ratings"], {"PORT": "eighty"})])
def test_wrong_settings_end_with_usage(argv: list[str], environ: dict[str, str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        read_settings(argv, environ)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err
