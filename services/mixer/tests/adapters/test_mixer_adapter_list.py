"""listchecker: entry types, verdicts, providers over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from ipaddress import ip_address

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from mizzen.mixer.adapter import AdapterError
from mizzen.mixer.adapters.listchecker.entries import EntryType, Networks
from mizzen.mixer.adapters.listchecker.entries import build as build_list
from mizzen.mixer.adapters.listchecker.provider import Provider
from mizzen.mixer.status import Code
from mizzen.mixer.templates import ListEntry


def entry(value):
    return ListEntry("appversion.listentry.istio-system", value)


@pytest.mark.parametrize(
    ("kind", "overrides", "value", "found"),
    [
        ("STRINGS", ["v1", "v2"], "v2", True),
        ("STRINGS", ["v1", "v2"], "V2", False),
        ("STRINGS", [""], "", False),
        ("STRINGS", ["5"], 5, True),
        (0, ["a"], "a", True),
        ("CASE_INSENSITIVE_STRINGS", ["Straße"], "STRASSE", True),
        ("CASE_INSENSITIVE_STRINGS", ["abc"], "AbC", True),
        ("CASE_INSENSITIVE_STRINGS", ["abc"], "abcd", False),
        ("REGEX", ["^a+$", "b.d"], "xbydz", True),
        ("REGEX", ["^a+$"], "aab", False),
        (3, ["(?i)KEY"], "a key", True),
        ("IP_ADDRESSES", ["10.57.0.0/16"], "10.57.1.2", True),
        ("IP_ADDRESSES", ["10.57.0.0/16"], "10.58.1.2", False),
        ("IP_ADDRESSES", ["10.57.9.9/16"], ip_address("10.57.1.2"), True),
        ("IP_ADDRESSES", ["10.0.0.1"], "10.0.0.1", True),
        ("IP_ADDRESSES", ["10.0.0.1"], "10.0.0.2", False),
        ("IP_ADDRESSES", ["10.0.0.1"], "::ffff:10.0.0.1", True),
        ("IP_ADDRESSES", ["::ffff:10.0.0.0/104"], "10.0.9.9", True),
        ("IP_ADDRESSES", ["2001:db8::/32"], "2001:db8:1::5", True),
        ("IP_ADDRESSES", ["2001:db8::1"], "2001:db8::2", False),
    ],
)
async def test_entry_types(build, kind, overrides, value, found):
    handler = await build("listchecker", {"overrides": overrides, "entryType": kind})
    code = (await handler.check(entry(value))).status.code
    assert code == (Code.OK if found else Code.NOT_FOUND)


@given(st.lists(st.ip_addresses(network="10.0.0.0/8"), max_size=5), st.ip_addresses(network="10.0.0.0/8"))
def test_networks_agree_with_a_search_one_by_one(addresses, probe):
    import ipaddress

    blocks = [f"{address}/{8 + int(address) % 25}" for address in addresses]
    expected = any(probe in ipaddress.ip_network(block, strict=False) for block in blocks)
    assert (probe in Networks(blocks)) is expected


@pytest.mark.parametrize(
    ("blacklist", "value", "code", "message"),
    [
        (False, "v3", Code.NOT_FOUND, "v3 is not whitelisted"),
        (True, "v1", Code.PERMISSION_DENIED, "v1 is blacklisted"),
        (True, "v3", Code.OK, ""),
    ],
)
async def test_verdicts(build, blacklist, value, code, message):
    params = {"overrides": ["v1"], "blacklist": blacklist, "cachingInterval": "30s", "caching_use_count": 7}
    answer = await (await build("list", params)).check(entry(value))
    assert (answer.status.code, answer.status.message) == (code, message)
    assert (answer.valid_duration, answer.valid_use_count) == (timedelta(seconds=30), 7)


async def test_what_is_no_address_is_an_invalid_argument(build):
    handler = await build("listchecker", {"overrides": ["10.0.0.0/8"], "entryType": "IP_ADDRESSES"})
    answer = await handler.check(entry("home"))
    assert (answer.status.code, answer.status.message) == (Code.INVALID_ARGUMENT, "home is not a valid IP address")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"providerUrl": "lists/denied"}, "providerUrl: must be a URL"),
        ({"providerUrl": "http://h/", "refreshInterval": "0.5s"}, "refreshInterval must be at least 1s"),
        ({"providerUrl": "http://h/", "refreshInterval": "10s", "ttl": "5s"}, "ttl must not be less than"),
        ({"entryType": "REGEX", "overrides": ["(a"]}, "overrides: '(a' is not an RE2 regex"),
        ({"entryType": "IP_ADDRESSES", "overrides": ["10.0.0.300"]}, "overrides: '10.0.0.300' is not an IP address"),
        ({"entryType": "GLOB"}, "entryType: must be one of STRINGS,"),
        ({"cachingUseCount": -1}, "cachingUseCount: must be at least 0"),
    ],
)
async def test_wrong_parameters_are_named(build, params, message):
    with pytest.raises(AdapterError) as raised:
        await build("listchecker", params)
    assert message in str(raised.value)


class Publisher:
    """An HTTP server whose answer the test sets."""

    def __init__(self) -> None:
        self.body = ""
        self.status = 200
        self.fetched = asyncio.Semaphore(0)
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.fetched.release()
        return web.Response(text=self.body, status=self.status)


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    publisher = Publisher()
    application = web.Application()
    application.router.add_get("/list", publisher.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    publisher.url = f"http://127.0.0.1:{runner.addresses[0][1]}/list"
    yield publisher
    await runner.cleanup()


async def test_a_provider_and_overrides_make_one_list(build, publisher):
    publisher.body = "v1\r\nv2\n\n"
    handler = await build("listchecker", {"providerUrl": publisher.url, "overrides": ["v9"]})
    codes = [(await handler.check(entry(value))).status.code for value in ("v1", "v2", "v9", "v3", "")]
    assert codes == [Code.OK, Code.OK, Code.OK, Code.NOT_FOUND, Code.NOT_FOUND]


async def test_a_provider_of_addresses_speaks_yaml(build, publisher):
    publisher.body = "whitelist:\n- 10.1.0.0/16\n- 10.2.0.1\n"
    handler = await build("listchecker", {"providerUrl": publisher.url, "entryType": "IP_ADDRESSES"})
    assert (await handler.check(entry("10.1.2.3"))).status.code == Code.OK
    assert (await handler.check(entry("10.2.0.2"))).status.code == Code.NOT_FOUND


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (404, "", "the answer is 404 Not Found"),
        (200, "- 10.0.0.1", "a list of texts under `whitelist`"),
        (200, "whitelist: [here]", "'here' is not an IP address"),
        (200, "{", "must be YAML"),
    ],
)
async def test_without_a_first_list_checks_fail_with_the_reason(build, publisher, status, body, reason):
    publisher.status, publisher.body = status, body
    handler = await build("listchecker", {"providerUrl": publisher.url, "entryType": "IP_ADDRESSES"})
    with pytest.raises(AdapterError) as raised:
        await handler.check(entry("10.0.0.1"))
    assert reason in str(raised.value)


async def test_nobody_at_the_url(build, publisher):
    handler = await build("listchecker", {"providerUrl": "http://127.0.0.1:1/list"})
    with pytest.raises(AdapterError, match=r"no list from http://127\.0\.0\.1:1/list"):
        await handler.check(entry("v1"))


async def test_the_list_is_refreshed_and_outlives_a_failure_until_its_ttl(publisher):
    publisher.body = "v1"
    loop = asyncio.get_running_loop()
    provider = Provider("h", publisher.url, lambda text: build_list(EntryType.STRINGS, text, ()), 0.01, 60)
    await provider.start()
    await publisher.fetched.acquire()
    publisher.body = "v2"
    while "v2" not in provider.current(loop.time()):
        await publisher.fetched.acquire()
    assert "v1" not in provider.current(loop.time())

    publisher.status = 500
    for _ in range(3):
        await publisher.fetched.acquire()
    assert "v2" in provider.current(loop.time())
    with pytest.raises(AdapterError, match="500"):
        provider.current(loop.time() + 61)

    publisher.status = 200
    while True:
        try:
            assert "v2" in provider.current(loop.time())
            break
        except AdapterError:
            await publisher.fetched.acquire()
    await provider.close()
