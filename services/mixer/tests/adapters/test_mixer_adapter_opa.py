"""opa: against real OPA servers, and against one that misbehaves."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from mizzen.mixer.adapter import AdapterError, CheckResult
from mizzen.mixer.adapters.opa.adapter import document_of
from mizzen.mixer.adapters.opa.client import Client, Undefined
from mizzen.mixer.adapters.opa.engine import Engine
from mizzen.mixer.status import OK, Code, Status
from mizzen.mixer.templates import Action, Authorization, Subject

REJECTED = Status(Code.PERMISSION_DENIED, "opa: request was rejected")

pytestmark = pytest.mark.opa

POLICY = """
package mixerauthz

policy = [
  {"rule": {"verbs": ["storage.buckets.get"], "users": ["bucket-admins"]}}
]

default allow = false

allow = true {
  rule = policy[_].rule
  input.subject.user = rule.users[_]
  input.action.method = rule.verbs[_]
}

name = "text"
"""  # Rego as Istio's documentation has it


def request(user="bucket-admins", method="storage.buckets.get", **properties):
    return Authorization("a.authorization.default", Subject(user), Action(method=method, properties=properties))


@pytest.mark.parametrize(("user", "status"), [("bucket-admins", OK), ("anna", REJECTED)])
async def test_policies_in_the_parameters(build, user, status):
    handler = await build("opa", {"policy": [POLICY], "check_method": "data.mixerauthz.allow"})
    assert await handler.check(request(user)) == CheckResult(status)


async def test_rego_of_today(build):
    policy = 'package p\nimport rego.v1\nallow if { input.action.properties.n > 5; input.subject.user == "anna" }'
    handler = await build("opa", {"policy": [policy], "checkMethod": "data.p.allow", "failClose": True})
    assert (await handler.check(request("anna", n=6))).status == OK
    undefined = (await handler.check(request("anna", n=5))).status
    assert undefined == Status(Code.PERMISSION_DENIED, f"{REJECTED.message}. err: p/allow is undefined")


@pytest.mark.parametrize(
    ("method", "message"),
    [("data.mixerauthz.name", REJECTED.message), ("data.mixerauthz.nothing", "mixerauthz/nothing is undefined")],
)
async def test_no_boolean_is_a_failure(build, method, message):
    params = {"policy": [POLICY], "checkMethod": method}
    assert (await (await build("opa", params)).check(request())).status == OK
    closed = await build("opa", {**params, "failClose": True})
    assert message in (await closed.check(request())).status.message


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"policy": [POLICY]}, "checkMethod: must be a rule like data.mixerauthz.allow, got ''"),
        ({"checkMethod": "data.a.b"}, "policy: is required"),
        ({"checkMethod": "data.a.b", "policy": ["package"]}, "policy: line 1: "),
        ({"checkMethod": "data.a.b", "policy": ["package a\nb = c"]}, "policy: line 2: "),
        ({"checkMethod": "data.a.b", "policy": ["package a"], "url": "http://x"}, "give one of the two"),
    ],
)
async def test_wrong_parameters_are_named_or_deny(build, params, message):
    with pytest.raises(AdapterError) as raised:
        await build("opa", params)
    assert message in str(raised.value)
    closed = await build("opa", {**params, "failClose": True})
    assert await closed.check(request()) == CheckResult(REJECTED)


async def test_without_the_program(build, monkeypatch):
    monkeypatch.setattr("mizzen.mixer.adapters.opa.adapter.PROGRAM", "no-such-opa")
    with pytest.raises(AdapterError, match="needs the program no-such-opa"):
        await build("opa", {"policy": [POLICY], "checkMethod": "data.mixerauthz.allow"})


async def test_an_engine_that_ends_is_started_again():
    engine = Engine(shutil.which("opa"), [POLICY], 1.0)
    await engine.start()
    first = engine._process
    first.kill()
    async with asyncio.timeout(20):
        while engine._process is first or not await _answers(engine.client):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
    await engine.close()


OWNER = """
import asyncio, sys
from mizzen.mixer.adapters.opa.engine import Engine

async def main():
    engine = Engine(sys.argv[1], ["package p"], 1.0)
    await engine.start()
    print(engine._process.pid, engine._folder, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_an_engine_ends_with_its_mixer_however_that_ends():
    command = (sys.executable, "-c", OWNER, shutil.which("opa"))
    owner = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(30):
        pid, folder = (await owner.stdout.readline()).decode().split()
        owner.kill()
        await owner.communicate()
        while _runs(int(pid)):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
    shutil.rmtree(folder)


def _runs(pid: int) -> bool:
    """A process that ended may still wait for its new parent to ask how."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


async def _answers(client: Client) -> bool:
    try:
        return await client.query("mixerauthz/allow", {}) is False
    except (aiohttp.ClientError, OSError, Undefined):  # it starts, and has no policy at first
        return False


class Server:
    def __init__(self) -> None:
        self.answer: tuple[int, str] | None = None
        self.asked: list[tuple[str, object]] = []
        self.url = ""

    async def serve(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, await request.json()))
        if self.answer is None:
            await asyncio.Event().wait()
        return web.Response(status=self.answer[0], text=self.answer[1])


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    application = web.Application()
    application.router.add_post("/{path:.*}", server.serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


async def test_an_opa_elsewhere(build, server):
    server.answer = (200, '{"result": true}')
    handler = await build("opa", {"url": server.url, "checkMethod": "data.mesh.authz.allow"})
    assert await handler.check(request("anna", "GET")) == CheckResult(OK)
    document = {"action": {"method": "GET"}, "subject": {"user": "anna"}}
    assert server.asked == [("/v1/data/mesh/authz/allow", {"input": document})]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "TimeoutError"),
        ((500, '{"code": "internal_error", "message": "broken"}'), "500: broken"),
        ((200, "<html>"), "not JSON"),
        ((200, "[]"), "undefined"),
    ],
)
@pytest.mark.parametrize("fail_close", [True, False])
async def test_an_opa_that_fails(build, server, answer, reason, fail_close):
    server.answer = answer
    params = {"url": server.url, "checkMethod": "data.a.b", "failClose": fail_close, "timeout": "50ms"}
    status = (await (await build("opa", params)).check(request())).status
    assert (reason in status.message) if fail_close else (status == OK)


def test_the_input_leaves_out_what_is_empty():
    full = Authorization(
        "a",
        Subject("anna", "staff", {"app": "x"}),
        Action("default", "ratings", "GET", "/r", {"n": 1, "labels": {"a": "b"}}),
    )
    assert document_of(full) == {
        "action": {
            "namespace": "default", "service": "ratings", "method": "GET", "path": "/r",
            "properties": {"n": 1, "labels": {"a": "b"}},
        },
        "subject": {"user": "anna", "groups": ["staff"], "properties": {"app": "x"}},
    }  # fmt: skip
    assert document_of(Authorization("a")) == {"action": {}, "subject": {}}
