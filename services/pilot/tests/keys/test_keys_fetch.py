"""Keys over HTTP, from servers that are slow, wrong, too talkative, or good; and beside everything else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from mizzen.pilot.base.keysource import KeySource
from mizzen.pilot.ingest.keys.fetch import MAX_BYTES, FetchError, fetch_keys, is_allowed, public_keys
from mizzen.pilot.ingest.keys.keeper import MAX_UNKNOWN, KeyKeeper
from mizzen.pilot.ingest.keys.schedule import REFRESH

KEY = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "one"}
GOOD = json.dumps({"keys": [{**KEY, "d": "secret", "x5c": ["..."]}]})
Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Answer every request with a handler; the URL of the server."""
    runners = []

    async def start(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> str:
        application = web.Application()
        application.router.add_get("/{tail:.*}", handler)
        runner = web.AppRunner(application, shutdown_timeout=0.01)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


async def test_keys_come_without_what_is_secret_or_of_no_use(serve: Serve) -> None:
    async def keys(request: web.Request) -> web.Response:
        return web.Response(text=GOOD)

    url = await serve(keys)
    assert json.loads(await fetch_keys(KeySource("me", f"{url}/keys"), 5.0)) == {"keys": [KEY]}


async def test_an_issuer_tells_where_its_keys_are(serve: Serve) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/realm/.well-known/openid-configuration":
            return web.json_response({"jwks_uri": f"http://{request.host}/keys"})
        return web.Response(text=GOOD if request.path == "/keys" else "")

    url = await serve(answer)
    assert json.loads(await fetch_keys(KeySource(f"{url}/realm/", ""), 5.0)) == {"keys": [KEY]}


@pytest.mark.parametrize(
    ("status", "body", "complaint"),
    [
        (500, "no", "status 500"),
        (200, "<html>", "not a JSON Web Key Set"),
        (200, '{"keys": 1}', "not a JSON Web Key Set"),
        (200, '{"keys": [1]}', "not a JSON Web Key Set"),
        (200, '{"keys": [{"kty": ["RSA"]}]}', "not a JSON Web Key Set"),
        (200, '{"keys": []}', "no public keys"),
        (200, '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}', "no public keys"),
        (200, "[" * 100_000, "not a JSON Web Key Set"),
        (200, " " * (MAX_BYTES + 1), "more than"),
    ],
)
async def test_wrong_answers(serve: Serve, status: int, body: str, complaint: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    url = await serve(answer)
    with pytest.raises(FetchError, match=complaint) as caught:
        await fetch_keys(KeySource("me", f"{url}/keys?password=hidden"), 5.0)
    assert "hidden" not in str(caught.value)


async def test_a_slow_server_is_given_up(serve: Serve) -> None:
    async def silent(request: web.Request) -> web.Response:
        await asyncio.sleep(3600)
        return web.Response()

    url = await serve(silent)
    with pytest.raises(FetchError, match="has not answered within"):
        await fetch_keys(KeySource("me", url), 0.05)


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:1/keys", "ftp://x/", "http://", "http://[::1", "no url", "https://a b/"]
)
async def test_places_where_nothing_is(uri: str) -> None:
    with pytest.raises(FetchError):
        await fetch_keys(KeySource("me", uri), 5.0)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.1.2.3", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("169.254.169.254", False),
        ("::ffff:169.254.169.254", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
    ],
)
def test_metadata_services_are_not_asked(address: str, *, allowed: bool) -> None:
    assert is_allowed(address) is allowed


async def test_a_redirect_leads_to_no_metadata_service_either(serve: Serve) -> None:
    async def away(request: web.Request) -> web.Response:
        raise web.HTTPFound("http://169.254.169.254/latest")

    url = await serve(away)
    with pytest.raises(FetchError, match=r"169\.254\.169\.254"):
        await fetch_keys(KeySource("me", url), 5.0)


def test_the_same_keys_are_the_same_text_in_any_order() -> None:
    other = {**KEY, "kid": "two"}
    texts = {public_keys(json.dumps({"keys": keys}).encode()) for keys in ([KEY, other], [other, KEY])}
    assert len(texts) == 1


class Source:
    """Answers as it is told."""

    def __init__(self) -> None:
        self.answers: list[str | Exception] = []
        self.asked = asyncio.Semaphore(0)

    async def fetch(self, source: KeySource, seconds: float) -> str:
        self.asked.release()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_the_keeper_tries_again_and_tells_when_something_is_known(caplog: pytest.LogCaptureFixture) -> None:
    source, registry, me = Source(), CollectorRegistry(), KeySource("me", "https://me/keys")
    source.answers = [FetchError("away"), "keys"]
    keeper = KeyKeeper(registry, asyncio.get_running_loop().time, source.fetch)
    changed = asyncio.Event()
    running = asyncio.ensure_future(keeper.run(changed.set))
    try:
        keeper.want({me: 5.0})
        async with asyncio.timeout(20):
            await changed.wait()
    finally:
        running.cancel()
    assert keeper.known == {me: "keys"}
    assert registry.get_sample_value("pilot_jwks_resolver_network_fetch_fail_total") == 1
    assert registry.get_sample_value("pilot_jwks_resolver_network_fetch_success_total") == 1
    assert "No keys for the tokens of me: away" in caplog.text


async def test_a_start_waits_for_one_answer_of_each() -> None:
    source = Source()
    source.answers = ["keys", FetchError("away")]
    keeper = KeyKeeper(CollectorRegistry(), asyncio.get_running_loop().time, source.fetch)
    good, bad = KeySource("good", ""), KeySource("bad", "")
    await keeper.settle({good: 5.0, bad: 5.0})
    assert keeper.known == {good: "keys"}


async def test_sources_that_never_answer_do_not_keep_keys_from_being_renewed() -> None:
    """A namespace may name as many issuers as it likes, each on a server that takes its time."""
    good = KeySource("good", "")
    asked = asyncio.Queue[KeySource]()

    async def fetch(source: KeySource, seconds: float) -> str:
        asked.put_nowait(source)
        if source != good:
            await asyncio.Event().wait()
        return "keys"

    now = 0.0
    keeper = KeyKeeper(CollectorRegistry(), lambda: now, fetch)
    await keeper.settle({good: 5.0})
    assert await asked.get() == good
    wanted = {good: 5.0} | {KeySource(f"slow-{number}", ""): 5.0 for number in range(100)}
    keeper.want(wanted)
    running = asyncio.ensure_future(keeper.run(lambda: None))
    try:
        async with asyncio.timeout(20):
            for _ in range(MAX_UNKNOWN):
                assert await asked.get() != good
            now = REFRESH
            keeper.want(wanted)
            while await asked.get() != good:
                pass
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
