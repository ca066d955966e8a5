"""fluentd: the forward protocol over real TCP, to a server that decodes MessagePack."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import msgpack
import pytest

from mizzen.mixer.adapter import AdapterError
from mizzen.mixer.adapters import metrics
from mizzen.mixer.templates import LogEntry

TIME = datetime(2018, 7, 31, 12, 0, 0, 250000, tzinfo=UTC)


class Daemon:
    """What fluentd does with a forward connection, as far as messages go."""

    def __init__(self) -> None:
        self.entries: asyncio.Queue[list] = asyncio.Queue()
        self.address = ""
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        unpacker = msgpack.Unpacker()
        while data := await reader.read(65536):
            unpacker.feed(data)
            for entry in unpacker:
                self.entries.put_nowait(entry)
        writer.close()


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    daemon = Daemon()
    await daemon.start()
    yield daemon
    await daemon.stop()


def entry(**variables):
    return LogEntry("newlog.logentry.istio-system", variables, TIME, "warning")


async def test_an_entry_as_a_message(build, daemon):
    handler = await build("fluentd", {"address": daemon.address, "pushIntervalDuration": "10ms"})
    variables = {
        "source": "reviews",
        "responseCode": 200,
        "latency": timedelta(seconds=1.5),
        "ip": ip_address("10.0.0.1"),
        "labels": {"app": "x"},
        "at": TIME,
        "mtls": False,
    }
    await handler.report([entry(**variables)])
    tag, time, record = await daemon.entries.get()
    assert tag == "newlog.logentry.istio-system"
    assert (time.code, struct.unpack(">II", time.data)) == (0, (int(TIME.timestamp()), 250_000_000))
    assert record == {
        "source": "reviews",
        "responseCode": 200,
        "latency": "1.5s",
        "ip": "10.0.0.1",
        "labels": {"app": "x"},
        "at": "2018-07-31T12:00:00.250000Z",
        "mtls": False,
        "severity": "warning",
    }


async def test_a_variable_called_tag_is_the_tag(build, daemon):
    params = {"address": daemon.address, "push_interval_duration": "10ms", "integerDuration": True}
    handler = await build("fluentd", params)
    await handler.report([entry(tag="mesh.access", latency=timedelta(seconds=1.5))])
    tag, _, record = await daemon.entries.get()
    assert tag == "mesh.access"
    assert record == {"name": "newlog.logentry.istio-system", "latency": 1500, "severity": "warning"}


async def test_entries_wait_for_each_other_until_the_handler_closes(build, daemon):
    handler = await build("fluentd", {"address": daemon.address})
    await handler.report([entry(n=1), entry(n=2)])
    await handler.report([entry(n=3)])
    assert daemon.entries.empty()
    await handler.close()
    assert [(await daemon.entries.get())[2]["n"] for _ in range(3)] == [1, 2, 3]


async def test_a_daemon_that_comes_back_is_found(build, daemon):
    handler = await build("fluentd", {"address": daemon.address, "pushIntervalDuration": "1ms"})
    await handler.report([entry(n=1)])
    await daemon.entries.get()
    port = int(daemon.address.rpartition(":")[2])
    await daemon.stop()
    assert await handler._connection._streams[0].read() == b""
    await daemon.start(port)
    await handler.report([entry(n=2)])
    assert (await daemon.entries.get())[2]["n"] == 2


async def test_nobody_listens_and_the_queue_is_full(build, request):
    handler = await build("fluentd", {"address": "127.0.0.1:1", "instanceBufferSize": 2})
    with pytest.raises(AdapterError, match="dropped 1 entries for want of room"):
        await handler.report([entry(n=n) for n in range(3)])
    await handler.close()
    name = f"{request.node.name}.fluentd.istio-system"
    lost = [metrics.DROPPED.labels(name, reason)._value.get() for reason in ("full", "failed")]
    assert lost == [1, 2]


async def test_an_entry_larger_than_a_batch_is_dropped(build, daemon):
    handler = await build("fluentd", {"address": daemon.address, "maxBatchSizeBytes": 100})
    with pytest.raises(AdapterError, match="1 for their size"):
        await handler.report([entry(path="x" * 100)])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"address": "localhost"}, "address: an address is <host>:<port>"),
        ({"instanceBufferSize": 0}, "instanceBufferSize: must be at least 1"),
        ({"pushTimeoutDuration": "-1s"}, "pushTimeoutDuration: a duration must not be negative"),
    ],
)
async def test_wrong_parameters_are_named(build, params, message):
    with pytest.raises(AdapterError) as raised:
        await build("fluentd", params)
    assert message in str(raised.value)
