"""The parts of Mixer together, over an engine that does what a test says."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import aiohttp
import grpc
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from prometheus_client import CollectorRegistry

from mizzen.attributes.bag import Bag
from mizzen.attributes.compressed import encode
from mizzen.identity.callers import door
from mizzen.mixer.adapter import QuotaArgs
from mizzen.mixer.app.mixer import MixerService, live
from mizzen.mixer.app.settings import Settings, TokenSettings
from mizzen.mixer.verdict import Verdict
from mizzen.proto.mixer_pb2 import CheckRequest, CheckResponse
from mizzen.runtime.address import Address, unused_port
from mizzen.runtime.errors import StartError
from mizzen.runtime.lifecycle import Lifecycle

SECONDS = 10


class FakeEngine:
    """Notes what happens to it, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.broken = False
        self.asked = asyncio.Event()
        self.watching = asyncio.Event()
        self.loading = asyncio.Event()
        self.loading.set()

    async def load(self) -> None:
        self.asked.set()
        await self.loading.wait()
        if self.broken:
            raise StartError("the folder cannot be read")
        self.events.append("load")

    async def watch(self) -> None:
        self.events.append("watch")
        self.watching.set()
        await asyncio.Event().wait()

    async def close(self) -> None:
        self.events.append("close")

    async def check(self, bag: Bag, quotas: Mapping[str, QuotaArgs], deduplication_id: str) -> Verdict:
        self.events.append("check")
        return Verdict()

    async def report(self, bags: Sequence[Bag]) -> None:
        self.events.append("report")

    async def explain(self, bag: Bag, quotas: Mapping[str, QuotaArgs]) -> Mapping[str, object]:
        return {"path": str(bag.get("request.path")), "quotas": {name: args.amount for name, args in quotas.items()}}

    def show_config(self) -> Mapping[str, object]:
        return {"page": "config"}

    def show_handlers(self) -> Sequence[Mapping[str, object]]:
        return [{"page": "handlers"}]

    def show_rules(self) -> Sequence[Mapping[str, object]]:
        return [{"page": "rules"}]

    def show_attributes(self) -> Mapping[str, str]:
        return {"source.ip": "IP_ADDRESS"}


@pytest.fixture
async def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    anywhere = Address("127.0.0.1", 0)
    return Settings(address=anywhere, monitoring_address=anywhere, config_dir=tmp_path)


async def get(address: Address, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=SECONDS)) as session,
        session.get(f"http://{address}{path}") as response,
    ):
        return response.status, await response.text()


async def check(address: Address) -> CheckResponse:
    async with grpc.aio.insecure_channel(str(address)) as channel:
        call = channel.unary_unary(
            "/istio.mixer.v1.Mixer/Check", CheckRequest.SerializeToString, CheckResponse.FromString
        )
        response = await call(CheckRequest(), timeout=SECONDS)
        assert isinstance(response, CheckResponse)
        return response


async def test_a_mixer_serves_its_policy_and_its_pages(engine: FakeEngine, settings: Settings) -> None:
    mixer = MixerService(settings, engine, CollectorRegistry())
    await mixer.start()
    try:
        assert (await check(mixer.server.address)).precondition.valid_use_count == 10_000
        monitoring = mixer.monitoring.address
        assert await get(monitoring, "/ready") == (200, "ready\n")
        assert '"mixer"' in (await get(monitoring, "/version"))[1]
        for page in ("config", "handlers", "rules"):
            status, text = await get(monitoring, f"/debug/{page}")
            assert (status, f'"page": "{page}"' in text) == (200, True)
        assert '"source.ip": "IP_ADDRESS"' in (await get(monitoring, "/debug/attributes"))[1]
        metrics = (await get(monitoring, "/metrics"))[1]
        assert 'grpc_server_handled_total{grpc_code="OK",grpc_method="Check"' in metrics
        assert "mixer_adapter_backend_calls" in metrics
        assert "process_resident_memory_bytes" in metrics
    finally:
        await mixer.close()
    assert engine.events == ["load", "check", "close"]


async def test_other_machines_see_its_pages_with_a_token_of_its_namespace(
    engine: FakeEngine, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = ECKey.generate_key("P-256", {"kid": "one"})
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(KeySet([issuer]).as_dict(private=False)))
    settings = replace(settings, tokens=TokenSettings(keys, "cluster.local", "istio-system"))
    mixer = MixerService(settings, engine, CollectorRegistry())
    await mixer.start()
    monkeypatch.setattr(door, "_is_of_this_machine", lambda remote: False)
    try:
        statuses = []
        for who in ("", "default", "istio-system"):
            claims = {"sub": f"system:serviceaccount:{who}:viewer", "aud": "istio-ca", "exp": int(time.time()) + 60}
            shown = {"Authorization": f"Bearer {jwt.encode({'alg': 'ES256'}, claims, issuer)}"} if who else {}
            statuses.append((await get(mixer.monitoring.address, "/debug/config", shown))[0])
        assert statuses == [401, 403, 200]
        assert (await get(mixer.monitoring.address, "/metrics"))[0] == 200
    finally:
        await mixer.close()


async def test_it_explains_a_request_as_a_proxy_would_send_it(engine: FakeEngine, settings: Settings) -> None:
    mixer = MixerService(settings, engine, CollectorRegistry())
    await mixer.start()
    request = CheckRequest(attributes=encode({"request.path": "/a"}), quotas={"count": {"amount": 2}})
    text = base64.urlsafe_b64encode(request.SerializeToString()).decode()
    try:
        status, story = await get(mixer.monitoring.address, f"/debug/explain?check={text}")
        assert (status, json.loads(story)) == (200, {"path": "/a", "quotas": {"count": 2}})
        for wrong in ("", "?check=a", "?check=!", "?check=CgIK!AA=", "?check=CgkSBAjMCxACEgEx"):
            status, reason = await get(mixer.monitoring.address, f"/debug/explain{wrong}")
            assert (status, reason.startswith("check is to be a CheckRequest in base64: ")) == (400, True)
    finally:
        await mixer.close()


async def test_it_is_not_ready_before_the_configuration_is_read(engine: FakeEngine, settings: Settings) -> None:
    engine.loading.clear()
    mixer = MixerService(settings, engine, CollectorRegistry())
    starting = asyncio.ensure_future(mixer.start())
    await asyncio.wait_for(engine.asked.wait(), SECONDS)
    assert await get(mixer.monitoring.address, "/ready") == (503, "the configuration is not loaded\n")
    engine.loading.set()
    await starting
    assert (await get(mixer.monitoring.address, "/ready"))[0] == 200
    await mixer.close()


async def test_it_runs_until_it_is_told_to_stop(engine: FakeEngine, settings: Settings) -> None:
    lifecycle = Lifecycle()
    running = asyncio.ensure_future(live(MixerService(settings, engine, CollectorRegistry()), lifecycle))
    async with asyncio.timeout(SECONDS):
        await engine.watching.wait()
        lifecycle.stop("test")
        await running
    assert engine.events == ["load", "watch", "close"]


async def test_what_hinders_the_start_is_told_and_cleared_away(engine: FakeEngine, settings: Settings) -> None:
    engine.broken = True
    with pytest.raises(StartError, match="the folder cannot be read"):
        await live(MixerService(settings, engine, CollectorRegistry()), Lifecycle())
    assert engine.events == ["close"]


async def test_a_taken_port_is_named(engine: FakeEngine, settings: Settings) -> None:
    port = unused_port()
    taken = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", port)
    try:
        wanted = Settings(Address("127.0.0.1", port), settings.monitoring_address, settings.config_dir)
        with pytest.raises(StartError, match=f"127.0.0.1:{port} is taken by another process"):
            await live(MixerService(wanted, engine, CollectorRegistry()), Lifecycle())
    finally:
        taken.close()
        await taken.wait_closed()
    assert engine.events == ["load", "close"]
