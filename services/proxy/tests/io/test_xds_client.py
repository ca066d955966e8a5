"""The ADS client against a server: whatever happens on the way, it goes on and loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2
from envoy.service.discovery.v3 import discovery_pb2
from fake_pilot import FakePilot

from mizzen.proxy.io import xds_client
from mizzen.proxy.io.xds_client import XdsClient
from mizzen.proxy.snapshot.ads_session import AdsSession, Delivery
from mizzen.proxy.snapshot.result import Rejected
from mizzen.proxy.snapshot.store import TYPE_URLS
from mizzen.runtime.address import unused_port


class Workers:
    """Keeps what it is given; `fault` is raised instead, once for every time that it is set."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.faults: list[Exception] = []
        self.refused: set[str] = set()

    async def apply(self, delivery: Delivery) -> tuple[Rejected, ...]:
        if self.faults:
            raise self.faults.pop(0)
        self.running -= {name for _, name in delivery.removed}
        self.running |= {plan.name for plan in delivery.plans} - self.refused
        return tuple(
            Rejected(f"Cluster {plan.name}", "", "no", True) for plan in delivery.plans if plan.name in self.refused
        )


@pytest.fixture
async def pilot() -> AsyncIterator[FakePilot]:
    running = FakePilot()
    await running.start()
    yield running
    await running.close()


@pytest.fixture
def workers() -> Workers:
    return Workers()


@pytest.fixture
async def session(pilot: FakePilot, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AdsSession]:
    """The session of a client that runs."""
    monkeypatch.setattr(xds_client, "RETRY_SECONDS", 0.01)
    session = AdsSession(base_pb2.Node(id="me"))
    client = XdsClient(f"127.0.0.1:{pilot.port}", session, workers.apply)
    running = asyncio.create_task(client.run())
    yield session
    assert not running.done(), "the client gave up"
    running.cancel()
    await asyncio.wait({running})


def cluster(name: str) -> cluster_pb2.Cluster:
    return cluster_pb2.Cluster(name=name, type=cluster_pb2.Cluster.STATIC)


def removal(name: str, nonce: str) -> discovery_pb2.DeltaDiscoveryResponse:
    return discovery_pb2.DeltaDiscoveryResponse(type_url=TYPE_URLS["cluster"], nonce=nonce, removed_resources=[name])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the other side of a socket has no events here
            await asyncio.sleep(0.01)


def acked(pilot: FakePilot) -> list[str]:
    return [answer.response_nonce for answer in pilot.answers("Cluster") if not answer.HasField("error_detail")]


async def test_what_could_not_be_given_to_the_workers_is_given_again(
    pilot: FakePilot, workers: Workers, session: AdsSession, caplog: pytest.LogCaptureFixture
) -> None:
    pilot.send(cluster("a"), nonce="1")
    await until(lambda: acked(pilot) == ["1"])
    workers.faults = [RuntimeError("out of luck"), RuntimeError("and again")]
    pilot.responses.put_nowait(removal("a", "2"))
    await until(lambda: acked(pilot) == ["1", "2"])
    assert workers.running == set()
    assert "out of luck" in caplog.text
    assert "and again" in caplog.text
    assert pilot.streams == 1, "Pilot has no part in it"


async def test_a_fault_while_something_refused_is_tried_again_ends_nothing(
    pilot: FakePilot, workers: Workers, session: AdsSession, caplog: pytest.LogCaptureFixture
) -> None:
    workers.refused = {"a"}
    pilot.send(cluster("a"), nonce="1")
    await until(lambda: len(pilot.answers("Cluster")) == 1)
    workers.refused = set()
    workers.faults = [LookupError("a fault")]
    await until(lambda: workers.running == {"a"})
    assert "a fault" in caplog.text


async def test_a_fault_of_the_session_costs_a_stream(
    pilot: FakePilot,
    session: AdsSession,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    receive = session.receive

    def stumble(response: discovery_pb2.DeltaDiscoveryResponse) -> None:
        monkeypatch.setattr(session, "receive", receive)
        raise KeyError("stumbled")

    monkeypatch.setattr(session, "receive", stumble)
    pilot.send(cluster("a"), nonce="1")
    await until(lambda: pilot.streams == 2)
    assert "stumbled" in caplog.text
    pilot.send(cluster("a"), nonce="2")
    await until(lambda: acked(pilot) == ["2"])
    assert workers.running == {"a"}


@pytest.mark.parametrize(("quiet", "level"), [(60.0, "INFO"), (0.0, "WARNING")])
async def test_only_a_pilot_that_is_away_for_long_is_worth_a_warning(
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    quiet: float,
    level: str,
) -> None:
    monkeypatch.setattr(xds_client, "QUIET_SECONDS", quiet)
    caplog.set_level("INFO", xds_client.__name__)
    client = XdsClient(f"127.0.0.1:{unused_port()}", AdsSession(base_pb2.Node(id="me")), workers.apply)
    running = asyncio.create_task(client.run())
    await until(lambda: bool(caplog.records))
    running.cancel()
    await asyncio.wait({running})
    assert {record.levelname for record in caplog.records} == {level}
    assert caplog.records[0].message.startswith("no configuration from 127.0.0.1:")
