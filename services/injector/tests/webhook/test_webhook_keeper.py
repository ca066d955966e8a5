"""The leader's work, with an API server that has one Secret and one configuration."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from mizzen.injector.certificate.issue import Issued, sign_by_itself
from mizzen.injector.certificate.keeping import Held, Wanted
from mizzen.injector.certificate.secret import read_secret, secret_data
from mizzen.injector.webhook import keeper as keeper_module
from mizzen.injector.webhook.authority import AuthoritySettings
from mizzen.injector.webhook.cluster import Cluster, Kept
from mizzen.injector.webhook.keeper import NotSigned
from mizzen.injector.webhook.tls import ServedCertificate
from mizzen.kubernetes import single as single_module
from mizzen.kubernetes.client import Client
from mizzen.kubernetes.server import Server
from mizzen.runtime.address import Address

SECRETS = "/api/v1/namespaces/mesh/secrets"
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
CHECKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
GATEWAYS = "/apis/networking.istio.io/v1/namespaces/mesh/gateways"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/mesh/leases"
WANTED = Wanted(("injector.mesh.svc",), timedelta(days=90))


class FakeServer:
    """Objects by path; a change counts up the version and wakes the watches."""

    def __init__(self) -> None:
        self.url = ""
        self.version = 1
        self.objects: dict[str, dict[str, Any]] = {}
        self.refused: set[str] = set()
        self.refusals = 0
        self.proofs = 0
        self.changed = asyncio.Event()
        self.put(f"{SECRETS}/tls", {})
        self.put(f"{CONFIGURATIONS}/hooks", {"webhooks": [hook("a"), hook("b")]})
        self.put(f"{CHECKS}/checks", {"webhooks": [hook("c", failurePolicy="Ignore")]})
        self.put(f"{LEASES}/injector", {"spec": {}})
        self.checks = False
        """Whether a Gateway that is none is refused."""

    def server(self) -> Server:
        return Server(self.url)

    def put(self, path: str, item: dict[str, Any]) -> None:
        self.version += 1
        metadata = {"name": path.rpartition("/")[2], "resourceVersion": str(self.version)}
        self.objects[path] = item | {"metadata": metadata}
        self.changed.set()
        self.changed = asyncio.Event()

    @property
    def held(self) -> Held:
        return read_secret(self.objects[f"{SECRETS}/tls"])

    @property
    def bundles(self) -> list[bytes]:
        hooks = [*self.objects[f"{CONFIGURATIONS}/hooks"]["webhooks"], *self.objects[f"{CHECKS}/checks"]["webhooks"]]
        return [base64.b64decode(each["clientConfig"].get("caBundle", "")) for each in hooks]

    @property
    def policy(self) -> str:
        [check] = self.objects[f"{CHECKS}/checks"]["webhooks"]
        policy: str = check["failurePolicy"]
        return policy

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.method != "GET":
            return await self._write(request)
        if request.path in self.objects:
            return web.json_response(self.objects[request.path])
        name = request.query["fieldSelector"].removeprefix("metadata.name=")
        path = f"{request.path}/{name}"
        if "watch" not in request.query:
            items = [self.objects[path]] if path in self.objects else []
            return web.json_response({"metadata": {"resourceVersion": str(self.version)}, "items": items})
        response = web.StreamResponse()
        await response.prepare(request)
        seen = request.query["resourceVersion"]
        while True:
            item = self.objects[path]
            if int(item["metadata"]["resourceVersion"]) > int(seen):
                seen = item["metadata"]["resourceVersion"]
                await response.write(json.dumps({"type": "MODIFIED", "object": item}).encode() + b"\n")
            await self.changed.wait()

    async def _write(self, request: web.Request) -> web.StreamResponse:
        if request.path == GATEWAYS:
            assert request.query["dryRun"] == "All"
            self.proofs += 1
            message = 'admission webhook "c" denied the request: Gateway mesh/x: spec.servers: ...'
            return web.json_response({"message": message} if self.checks else {}, status=400 if self.checks else 201)
        known, patch = self.objects[request.path], await request.json()
        if request.path in self.refused:
            self.refusals += 1
            return web.json_response({"code": 403, "message": "not yours"}, status=403)
        if patch["metadata"]["resourceVersion"] != known["metadata"]["resourceVersion"]:
            return web.json_response({"code": 409}, status=409)
        if request.method == "PUT":
            self.put(request.path, patch)
        elif "webhooks" in patch:
            changes = {each["name"]: each for each in patch["webhooks"]}
            self.put(request.path, {"webhooks": [_merged(each, changes) for each in known["webhooks"]]})
        else:
            data = {**known.get("data", {}), **patch["data"]}
            self.put(request.path, {"data": {name: text for name, text in data.items() if text is not None}})
        return web.json_response({})


def hook(name: str, **fields: str) -> dict[str, Any]:
    return {"name": name, "clientConfig": {"service": {"name": "injector"}}, **fields}


def _merged(known: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    change = changes.get(known["name"], {})
    return {**known, **change, "clientConfig": {**known["clientConfig"], **change.get("clientConfig", {})}}


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeServer]:
    monkeypatch.setattr(single_module, "RETRY_SECONDS", (0.001, 0.01))
    monkeypatch.setattr(keeper_module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(keeper_module, "SETTLE_SECONDS", 0.05)
    fake = FakeServer()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", fake.answer)
    runner = web.AppRunner(application, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    fake.url = f"http://{host}:{port}"
    yield fake
    await runner.cleanup()


@pytest.fixture
async def served(api: FakeServer) -> AsyncIterator[ServedCertificate]:
    """What an injector of that cluster serves."""
    served = ServedCertificate()
    client = Client(api)
    kept = Kept(("mesh", "injector"), ("mesh", "tls"), WANTED, "hooks", "checks")
    cluster = Cluster(client, kept, served, "default")
    task = asyncio.ensure_future(cluster.run())
    yield served
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await client.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 a condition on several objects
            await asyncio.sleep(0.005)


async def test_an_empty_secret_is_filled_served_and_told(api: FakeServer, served: ServedCertificate) -> None:
    await until(lambda: served.there and api.bundles == [api.held.bundle] * 3)
    assert api.bundles[0].startswith(b"-----BEGIN CERTIFICATE-----")
    assert (api.held.coming, len(api.held.roots)) == (None, 1)


async def test_what_somebody_changes_is_put_right(api: FakeServer, served: ServedCertificate) -> None:
    await until(lambda: served.there and api.bundles == [api.held.bundle] * 3)
    api.put(f"{CONFIGURATIONS}/hooks", {"webhooks": [hook("a"), hook("c")]})
    await until(lambda: api.bundles == [api.held.bundle] * 3)
    assert [each["name"] for each in api.objects[f"{CONFIGURATIONS}/hooks"]["webhooks"]] == ["a", "c"]
    before = api.held.bundle
    api.put(f"{SECRETS}/tls", {})
    await until(lambda: api.held.serving is not None and api.bundles == [api.held.bundle] * 3)
    assert api.held.bundle != before


def _old(api: FakeServer) -> bytes:
    """A certificate of the Secret of which two thirds are over; its root."""
    issued = sign_by_itself(WANTED.hosts, datetime.now(UTC) - timedelta(days=61), WANTED.life)
    api.put(f"{SECRETS}/tls", {"data": secret_data(Held(issued.pair, None, issued.roots))})
    return issued.pair.chain


async def test_a_renewal_is_served_when_all_know_its_root(api: FakeServer, served: ServedCertificate) -> None:
    old = _old(api)
    await until(lambda: api.held.coming is None and len(api.held.roots) == 2)
    assert api.held.serving is not None
    assert api.held.serving.chain != old
    assert api.bundles == [api.held.bundle] * 3


async def test_a_renewal_waits_where_nobody_can_be_told(api: FakeServer, served: ServedCertificate) -> None:
    api.refused.add(f"{CONFIGURATIONS}/hooks")
    old = _old(api)
    await until(lambda: api.held.coming is not None)
    seen = api.refusals
    await until(lambda: api.refusals > seen + 20)
    assert api.held.serving is not None
    assert (api.held.serving.chain, served.there) == (old, True)
    api.refused.clear()
    await until(lambda: api.held.coming is None)


async def test_a_bad_pair_leaves_the_last_one(
    api: FakeServer, served: ServedCertificate, caplog: pytest.LogCaptureFixture
) -> None:
    await until(lambda: served.there)
    one, other = (sign_by_itself(WANTED.hosts, datetime.now(UTC), WANTED.life) for _ in range(2))
    mixed = secret_data(Held(one.pair, None, one.roots)) | {"tls.key": secret_data(Held(other.pair))["tls.key"]}
    api.put(f"{SECRETS}/tls", {"data": mixed})
    await until(lambda: "the last certificate stays in use" in caplog.text)
    await until(lambda: api.held.serving is not None and api.held.serving.chain != one.pair.chain)


async def test_configuration_is_refused_unchecked_when_checks_work(api: FakeServer, served: ServedCertificate) -> None:
    await until(lambda: api.proofs > 3)
    assert api.policy == "Ignore"
    api.checks = True
    await until(lambda: api.policy == "Fail")
    proofs = api.proofs
    api.put(f"{CHECKS}/checks", {"webhooks": [hook("c", failurePolicy="Ignore")]})  # as an upgrade does
    await until(lambda: api.policy == "Fail" and api.bundles == [api.held.bundle] * 3)
    assert api.proofs == proofs


class Authority:
    """Signs by one root of its own, when it is there and says so."""

    def __init__(self) -> None:
        self.there, self.willing, self.asked = False, False, 0
        self._issued = sign_by_itself(WANTED.hosts, datetime.now(UTC), WANTED.life)

    def roots(self) -> tuple[bytes, ...]:
        return self._issued.roots if self.there else ()

    async def sign(self, hosts: Sequence[str], life: timedelta) -> Issued:
        assert (hosts, life) == (WANTED.hosts, WANTED.life)
        self.asked += 1
        if not self.willing:
            raise NotSigned("away")
        return self._issued


async def test_the_meshs_authority_takes_over_when_it_signs(
    api: FakeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    authority, served = Authority(), ServedCertificate()
    monkeypatch.setattr("mizzen.injector.webhook.signer.MeshSigner", lambda _: authority)
    named = AuthoritySettings(Address("pilot", 15012), Path("roots"), Path("token"))
    client = Client(api)
    kept = Kept(("mesh", "injector"), ("mesh", "tls"), WANTED, "hooks", "checks", named)
    task = asyncio.ensure_future(Cluster(client, kept, served, "default").run())
    try:
        await until(lambda: served.there and api.bundles == [api.held.bundle] * 3)
        first, asked = api.held, authority.asked
        assert (asked, len(first.roots)) == (0, 1)
        authority.there = True
        await until(lambda: authority.asked > 3)
        assert api.held == first
        assert caplog.text.count("No certificate for the webhook from the mesh's authority: away") == 1
        authority.willing = True
        await until(lambda: api.held.serving == authority._issued.pair)
        assert api.held.roots == (*first.roots, *authority.roots())
        assert api.bundles == [api.held.bundle] * 3
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.close()


async def test_a_certificate_of_files_is_nobodys_to_keep(api: FakeServer) -> None:
    api.checks = True
    kept = Kept(("mesh", "injector"), None, Wanted((), WANTED.life), "", "checks")
    client = Client(api)
    cluster = Cluster(client, kept, ServedCertificate(), "default")
    task = asyncio.ensure_future(cluster.run())
    await until(lambda: api.policy == "Fail")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await client.close()
    assert api.bundles == [b""] * 3
    assert api.held == Held()
