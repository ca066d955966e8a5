"""A worker process on real sockets, driven as the agent drives it."""

import array
import asyncio
import contextlib
import os
import pickle
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playbook import mesh
from token_support import NOW, plan, token

from mizzen.proxy.engine.control import Applied, AskStats, Drain, Ready, Refused, Stats, Update
from mizzen.proxy.engine.plan import (
    AccessLogPlan,
    ClusterPlan,
    EndpointPlan,
    EndpointSetPlan,
    ListenerPlan,
    RouteTablePlan,
)


class Agent:
    """The agent's end of the channel."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        self._channel.settimeout(20)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mizzen.proxy.app.worker", "--fd", str(theirs.fileno())], pass_fds=[theirs.fileno()]
        )
        theirs.close()

    def send(self, message: object, *sockets: socket.socket) -> None:
        payload = pickle.dumps(message)
        frame = struct.pack("!I", len(payload)) + payload
        descriptors = array.array("i", [sock.fileno() for sock in sockets])
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)] if sockets else []
        sent = self._channel.sendmsg([frame], ancillary)
        if sent < len(frame):  # even an empty write fails when the worker has done as told and gone
            self._channel.sendall(frame[sent:])

    def receive(self) -> object:
        (length,) = struct.unpack("!I", self._read(4))
        return pickle.loads(self._read(length))

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._channel.recv(size - len(data))
            assert piece, "the worker is gone"
            data += piece
        return data

    def has_loaded(self, library: str) -> bool:
        """Whether the worker has a shared library in its memory."""
        return library in Path(f"/proc/{self.process.pid}/maps").read_text()

    async def leave(self) -> None:
        """Go away; the worker follows."""
        self.close()
        assert await asyncio.to_thread(self.process.wait, 15) == 0

    def close(self) -> None:
        self._channel.close()


@pytest.fixture
def agent() -> Iterator[Agent]:
    agent = Agent()
    assert isinstance(agent.receive(), Ready)
    yield agent
    agent.close()
    try:
        assert agent.process.wait(15) == 0
    finally:
        agent.process.kill()
        agent.process.wait()


def listening() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


class Backend:
    """Answers every request with its own path."""

    def __init__(self) -> None:
        self._handlers: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ")[1]
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def close(self) -> None:
        """Stop accepting; the worker is gone by now, so all connections end."""
        self._server.close()
        await asyncio.gather(*self._handlers)


def update(serial: int, port: int, log: Path) -> Update:
    _, table, cluster = mesh(endpoints=(f"127.0.0.1:{port}",))
    listener, *_ = mesh(http={"access_logs": (AccessLogPlan(str(log), text="%REQ(:PATH)%\n"),)})
    return Update(serial, (listener, table, cluster), sockets=("listener",))


async def get(port: int, path: str, *, half_close: bool = False) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    if half_close:
        writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_worker_serves_counts_logs_and_leaves(agent: Agent, tmp_path: Path) -> None:
    backend = Backend()
    front = listening()
    agent.send(update(1, await backend.start(), tmp_path / "log"), front)
    assert await asyncio.to_thread(agent.receive) == Applied(1)
    port = front.getsockname()[1]
    answers = await asyncio.gather(*(get(port, f"/{number}") for number in range(20)))
    assert [answer.rpartition(b"\r\n\r\n")[2] for answer in answers] == [b"/%d" % number for number in range(20)]
    agent.send(AskStats(7))
    stats = await asyncio.to_thread(agent.receive)
    assert isinstance(stats, Stats)
    assert stats.serial == 7
    assert stats.counters["cluster", "reviews", "upstream_rq_200"] == 20
    agent.send(Drain(5.0, stop=True))
    assert await asyncio.to_thread(agent.process.wait, 15) == 0
    assert sorted((tmp_path / "log").read_text().split()) == sorted(f"/{number}" for number in range(20))
    await agent.leave()
    await backend.close()
    front.close()


async def test_what_verifies_tokens_is_loaded_with_the_first_rule_for_them(agent: Agent, tmp_path: Path) -> None:
    backend = Backend()
    front = listening()
    agent.send(update(1, await backend.start(), tmp_path / "log"), front)
    assert await asyncio.to_thread(agent.receive) == Applied(1)
    assert not agent.has_loaded("cryptography")
    agent.send(Update(2, mesh(http={"guards": (plan(),)})[:1]))
    assert await asyncio.to_thread(agent.receive) == Applied(2)
    assert agent.has_loaded("cryptography")
    port = front.getsockname()[1]
    assert (await get(port, "/?access_token=x")).startswith(b"HTTP/1.1 401")
    assert (await get(port, f"/?access_token={token(exp=2 * NOW)}")).endswith(b"\r\n/")
    await agent.leave()
    await backend.close()
    front.close()


async def test_a_log_that_nobody_reads_holds_nothing_up(agent: Agent, tmp_path: Path) -> None:
    backend = Backend()
    front = listening()
    os.mkfifo(tmp_path / "log")  # to open it for writing waits for a reader
    agent.send(update(1, await backend.start(), tmp_path / "log"), front)
    assert await asyncio.to_thread(agent.receive) == Applied(1)
    for _ in range(3):
        assert (await get(front.getsockname()[1], "/served")).endswith(b"/served")
        await asyncio.sleep(0.15)  # a batch is written meanwhile
    agent.send(Drain(5.0, stop=True))
    assert await asyncio.to_thread(agent.process.wait, 15) == 0
    await backend.close()
    front.close()


async def test_an_update_that_cannot_be_applied_is_refused_whole(agent: Agent, tmp_path: Path) -> None:
    backend = Backend()
    front = listening()
    agent.send(update(1, await backend.start(), tmp_path / "log"), front)
    assert await asyncio.to_thread(agent.receive) == Applied(1)
    other = mesh(endpoints=("127.0.0.1:1",))
    without_socket = ListenerPlan("another", "127.0.0.1", 1, "outbound", other[0].handler)
    agent.send(Update(2, (without_socket, other[2])))
    answer = await asyncio.to_thread(agent.receive)
    assert isinstance(answer, Refused)
    assert "another" in answer.reason
    assert (await get(front.getsockname()[1], "/still")).endswith(b"/still")
    await agent.leave()
    await backend.close()
    front.close()


async def test_an_update_that_a_worker_stumbles_over_is_refused(agent: Agent, tmp_path: Path) -> None:
    backend = Backend()
    front = listening()
    agent.send(update(1, await backend.start(), tmp_path / "log"), front)
    assert await asyncio.to_thread(agent.receive) == Applied(1)
    agent.send(Update(2, (RouteTablePlan("80", hosts=None),)))  # type: ignore[arg-type]
    answer = await asyncio.to_thread(agent.receive)
    assert isinstance(answer, Refused)
    assert "TypeError" in answer.reason
    assert (await get(front.getsockname()[1], "/still")).endswith(b"/still")
    await agent.leave()
    await backend.close()
    front.close()


async def test_a_worker_that_drains_still_says_what_it_counted(agent: Agent, tmp_path: Path) -> None:
    front = listening()
    with listening() as silent:
        agent.send(update(1, silent.getsockname()[1], tmp_path / "log"), front)
        assert await asyncio.to_thread(agent.receive) == Applied(1)
        under_way = asyncio.create_task(get(front.getsockname()[1], "/slow"))
        endpoint, _ = await asyncio.to_thread(silent.accept)
        await asyncio.to_thread(endpoint.recv, 1000)
    agent.send(Drain(30.0, stop=True))
    agent.send(AskStats(7))
    stats = await asyncio.to_thread(agent.receive)
    assert isinstance(stats, Stats)
    assert stats.gauges["http", "http", "downstream_rq_active"] == 1
    endpoint.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (await under_way).startswith(b"HTTP/1.1 204")
    assert await asyncio.to_thread(agent.process.wait, 15) == 0
    endpoint.close()
    front.close()


async def test_a_change_of_endpoints_loses_no_request(agent: Agent, tmp_path: Path) -> None:
    backends = [Backend(), Backend()]
    ports = [await backend.start() for backend in backends]
    front = listening()
    agent.send(update(1, ports[0], tmp_path / "log"), front)
    assert await asyncio.to_thread(agent.receive) == Applied(1)
    served = 0
    changing = True

    async def load() -> None:
        nonlocal served
        while changing:
            assert (await get(front.getsockname()[1], "/x")).startswith(b"HTTP/1.1 200")
            served += 1

    loads = [asyncio.create_task(load()) for _ in range(4)]
    for serial in range(2, 12):
        endpoints = EndpointSetPlan("reviews", (EndpointPlan("127.0.0.1", ports[serial % 2]),))
        agent.send(Update(serial, (ClusterPlan("reviews", "static", endpoint_set=endpoints),)))
        assert await asyncio.to_thread(agent.receive) == Applied(serial)
        await asyncio.gather(*(get(front.getsockname()[1], "/between") for _ in range(5)))
    changing = False
    await asyncio.gather(*loads)
    await agent.leave()
    for backend in backends:
        await backend.close()
    front.close()


async def leave_early(port: int, said: bytes) -> None:
    """Connect, say something or nothing, and cut the connection."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    if said:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # ends with a reset
        writer.write(said)
        await asyncio.sleep(0)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def descriptors(agent: Agent) -> int:
    """How many the worker has open."""
    return len(list(Path(f"/proc/{agent.process.pid}/fd").iterdir()))


@pytest.mark.parametrize("tcp", [False, True])
async def test_a_thousand_connections_leave_no_descriptor_behind(agent: Agent, tcp: bool) -> None:
    backend = Backend()
    front = listening()
    plans = mesh(tcp=tcp, endpoints=(f"127.0.0.1:{await backend.start()}",))
    agent.send(Update(1, plans, sockets=("listener",)), front)
    assert await asyncio.to_thread(agent.receive) == Applied(1)
    before = descriptors(agent)
    port = front.getsockname()[1]
    for _ in range(50):
        whole = [get(port, "/x", half_close=tcp) for _ in range(10)]
        cut = [
            leave_early(port, said) for said in (b"", b"GET /x HTTP/1.1\r\nHo", b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        ]
        answers = await asyncio.gather(*whole, *cut, *(leave_early(port, b"") for _ in range(7)))
        assert all(answer.endswith(b"/x") for answer in answers[: len(whole)])
    agent.send(Update(2, removed=(("cluster", "reviews"),)))  # ends the connections that rest
    assert await asyncio.to_thread(agent.receive) == Applied(2)
    async with asyncio.timeout(10):
        while descriptors(agent) > before:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
    agent.send(AskStats(3))
    stats = await asyncio.to_thread(agent.receive)
    assert isinstance(stats, Stats)
    assert stats.counters["listener", "listener", "downstream_cx_total"] == 1000
    assert stats.gauges["listener", "listener", "downstream_cx_active"] == 0
    await agent.leave()
    await backend.close()
    front.close()


async def test_a_worker_without_its_agent_leaves(agent: Agent) -> None:
    await agent.leave()


def test_workers_are_lean() -> None:
    heavy = ("grpc", "google.protobuf", "pydantic", "aiohttp", "prometheus_client")
    code = f"import sys, mizzen.proxy.app.worker; print([m for m in {heavy!r} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
