r"""Plays: a script of what clients, endpoints and the clock do, and what the proxy must do in return.

The real protocol objects run on memory transports and a loop whose time stands still until a step moves it. `play`
runs a script whole, then again with the bytes that arrive cut at sampled places: how TCP slices a message must not
matter.

    play(
        mesh(),
        client_sends(b"GET / HTTP/1.1\r\nHost: reviews\r\n\r\n"),
        connects("10.0.0.1:80"),
        endpoint_gets("GET / HTTP/1.1", {"Host": "reviews"}),
        endpoint_sends(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        client_gets("HTTP/1.1 200 OK"),
    )
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from mizzen.proxy.engine.control import Update
from mizzen.proxy.engine.match_plan import PathMatch, RouteMatch
from mizzen.proxy.engine.plan import (
    ClusterPlan,
    EndpointPlan,
    EndpointSetPlan,
    Forward,
    HttpPlan,
    ListenerPlan,
    Plan,
    RoutePlan,
    RouteTablePlan,
    TcpPlan,
    VirtualHostPlan,
    WeightedCluster,
)
from mizzen.proxy.io.connect import address_text
from mizzen.proxy.io.listener import Listener
from mizzen.proxy.io.original_dst import Kernel
from mizzen.proxy.io.runtime import Runtime, _Change

# -- the world ------------------------------------------------------------------------------------------------------


class ManualLoop:
    """Enough of an event loop for protocol objects; time moves only by `advance`."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._timers: list[tuple[float, int, Handle]] = []
        self._ready: deque[Handle] = deque()
        self._order = itertools.count()

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Callable[..., object], *args: Any) -> Handle:
        handle = Handle(callback, args)
        self._ready.append(handle)
        return handle

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Handle:
        handle = Handle(callback, args)
        heapq.heappush(self._timers, (when, next(self._order), handle))
        return handle

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Handle:
        return self.call_at(self._now + delay, callback, *args)

    def run(self) -> None:
        while self._ready:
            self._ready.popleft().run()

    def advance(self, seconds: float) -> None:
        end = self._now + seconds
        while self._timers and self._timers[0][0] <= end:
            when, _, handle = heapq.heappop(self._timers)
            self._now = max(self._now, when)
            handle.run()
            self.run()
        self._now = end


class Handle:
    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._callback = callback
        self._args = args
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def run(self) -> None:
        if not self._cancelled:
            self._callback(*self._args)


class MemoryTransport(asyncio.Transport):
    """Keeps what is written; `clogged` makes it hold on as a slow peer would."""

    def __init__(self, loop: ManualLoop, protocol: asyncio.Protocol, peer: str, local: str) -> None:
        super().__init__({"peername": _name(peer), "sockname": _name(local)})
        self._loop = loop
        self.protocol = protocol
        self.written = bytearray()
        self.held: deque[bytes] = deque()
        """What arrived while the protocol did not want to read."""
        self.reading = True
        self.eof = False
        self.closing = False
        self.aborted = False
        self.lost = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol) or hasattr(protocol, "data_received")
        self.protocol = protocol  # type: ignore[assignment]

    def write(self, data: bytes) -> None:
        assert not self.eof, "write after write_eof"
        if not self.closing:
            self.written += data

    def writelines(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self.write(piece)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.limit = high

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True
        self._loop.call_soon(self._deliver)

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            self._loop.call_soon(self._lose)

    def abort(self) -> None:
        self.aborted = True
        self.close()

    def _lose(self) -> None:
        self.lost = True
        self.protocol.connection_lost(None)

    # what the peer does

    def receive(self, data: bytes) -> None:
        self.held.append(data)
        self._deliver()
        self._loop.run()

    def _deliver(self) -> None:
        while self.held and self.reading and not self.closing:
            self.protocol.data_received(self.held.popleft())

    def end(self) -> None:
        if not self.closing and not self.protocol.eof_received():
            self.close()
        self._loop.run()


@dataclass
class Attempt:
    """A connection the proxy asked for and that has not been answered yet."""

    address: str
    factory: Callable[[], asyncio.Protocol]
    limit: float
    failed: Any
    source: str = ""


class MemoryConnector:
    def __init__(self) -> None:
        self.attempts: deque[Attempt] = deque()

    def connect(
        self,
        factory: Callable[[], asyncio.Protocol],
        address: tuple[str, int],
        limit: float,
        failed: Any,
        source: str = "",
        security: Any = None,
    ) -> None:
        self.attempts.append(Attempt(address_text(address), factory, limit, failed, source))


def mesh(
    *,
    http: dict[str, Any] | None = None,
    forward: dict[str, Any] | None = None,
    cluster: dict[str, Any] | None = None,
    endpoints: tuple[str, ...] = ("10.0.0.1:80",),
    route: dict[str, Any] | None = None,
    routes: tuple[RoutePlan, ...] = (),
    host: dict[str, Any] | None = None,
    tcp: bool = False,
) -> tuple[Plan, ...]:
    """One listener that tells reasons, one virtual host `*`, one route to the cluster `reviews` (after `routes`)."""
    last = RoutePlan(
        "default",
        RouteMatch(PathMatch("prefix", "/")),
        Forward((WeightedCluster("reviews"),), **(forward or {})),
        **{"origin": "VirtualService default/reviews", **(route or {})},
    )
    table = RouteTablePlan("80", (VirtualHostPlan("reviews", ("*",), (*routes, last), **(host or {})),))
    addresses = tuple(EndpointPlan(a.rpartition(":")[0], int(a.rpartition(":")[2])) for a in endpoints)
    manager = {"tells_reasons": True, **(http or {})}
    handler = TcpPlan("tcp", (WeightedCluster("reviews"),)) if tcp else HttpPlan("http", "80", **manager)
    return (
        ListenerPlan("listener", "10.9.9.9", 80, "outbound", handler),
        table,
        ClusterPlan("reviews", "static", endpoint_set=EndpointSetPlan("reviews", addresses), **(cluster or {})),
    )


class MemoryKernel(Kernel):
    """Knows what a test says: where all captured connections were going, and which addresses are ours."""

    def __init__(self, destination: str = "", own: tuple[str, ...] = ()) -> None:
        self.destination = destination
        self.own = own

    def original_destination(self, sock: Any) -> tuple[str, int] | None:
        return _name(self.destination) if self.destination else None

    def is_own_address(self, host: str) -> bool:
        return host in self.own


class World:
    """A runtime on a manual loop, with the client connections and endpoint connections of a play."""

    def __init__(self, plans: tuple[Plan, ...], kernel: Kernel | None = None) -> None:
        self.loop = ManualLoop()
        self.connector = MemoryConnector()
        self.runtime = Runtime(self.loop, lambda: 0.0, self.connector, kernel=kernel)  # type: ignore[arg-type]
        self.clients: dict[str, MemoryTransport] = {}
        self.endpoints: list[MemoryTransport] = []
        self.apply(*plans)

    def apply(self, *plans: Plan, removed: tuple[tuple[Any, str], ...] = (), spares_open: bool = False) -> None:
        """What the agent's update does, without a socket: new listeners are put in place by hand."""
        runtime = self.runtime
        new = [p for p in plans if isinstance(p, ListenerPlan) and p.bound and p.name not in runtime.listeners]
        for plan in new:
            runtime.listeners[plan.name] = _Unbound(runtime, plan)
        _run(runtime.apply(Update(1, plans, removed, (), spares_open), {}))

    def client(self, name: str = "client", listener: str = "") -> MemoryTransport:
        """A connection of a client to the first bound listener, or to the one of that name."""
        transport = self.clients.get(name)
        if transport is None:
            bound = {each.name: each for each in self.runtime.listeners.values() if each.plan.bound}
            target = bound[listener or next(iter(bound))]
            local = target.plan.address if target.plan.address not in ("0.0.0.0", "::") else "10.9.9.9"
            transport = MemoryTransport(self.loop, target.protocol(), "192.0.2.7:5000", f"{local}:{target.plan.port}")
            protocol = transport.protocol
            self.clients[name] = transport
            protocol.connection_made(transport)
            self.loop.run()
        return transport

    def accept(self, address: str) -> MemoryTransport:
        assert self.connector.attempts, f"the proxy does not connect to {address}"
        attempt = self.connector.attempts.popleft()
        assert attempt.address == address
        protocol = attempt.factory()
        transport = MemoryTransport(self.loop, protocol, address, "10.9.9.9:40000")
        self.endpoints.append(transport)
        protocol.connection_made(transport)
        self.loop.run()
        return transport


class _Unbound(Listener):
    """A listener before its first plan: `apply` makes it whole."""

    def __init__(self, runtime: Runtime, plan: ListenerPlan) -> None:
        nothing = _Change(runtime, Update(0))
        manager = runtime._bind(ListenerPlan("", "", 0, "outbound", TcpPlan("", (WeightedCluster(""),))), nothing)
        super().__init__(runtime, plan, manager)


def _run(coroutine: Any) -> None:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("the update waited for something")


def _name(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


# -- scripts --------------------------------------------------------------------------------------------------------

Step = Callable[[World, "Cut"], None]


@dataclass
class Cut:
    """Where the bytes of a step are cut: at every `stride`-th byte from `offset`; stride 0 for not at all."""

    stride: int = 0
    offset: int = 0

    def pieces(self, data: bytes) -> list[bytes]:
        if not self.stride:
            return [data]
        edges = [0, *range(self.offset or self.stride, len(data), self.stride), len(data)]
        return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]


CUTS = (Cut(), Cut(1), Cut(7, 3), Cut(64, 50), Cut(10_000, 1), Cut(10_000, 40))


def play(plans: tuple[Plan, ...], *steps: Step, cuts: tuple[Cut, ...] = CUTS) -> World:
    """Run a script once per cut; returns the last world, for a look at its counters."""
    for cut in cuts:
        world = World(plans)
        for number, step in enumerate(steps, 1):
            try:
                step(world, cut)
            except AssertionError as error:
                raise AssertionError(f"step {number} with {cut}: {error}") from error
    return world


def client_sends(data: bytes, *, client: str = "client") -> Step:
    """Bytes from the client; a paused transport delivers nothing until the proxy reads again."""

    def step(world: World, cut: Cut) -> None:
        transport = world.client(client)
        for piece in cut.pieces(data):
            transport.receive(piece)

    return step


def client_closes(*, client: str = "client") -> Step:
    return lambda world, cut: world.client(client).end()


def connects(address: str) -> Step:
    """The proxy opens a connection, and the endpoint accepts."""

    def step(world: World, cut: Cut) -> None:
        world.accept(address)

    return step


def refused(address: str, reason: str = "delayed connect error: Connection refused", timed_out: bool = False) -> Step:
    """The proxy opens a connection, and fails."""

    def step(world: World, cut: Cut) -> None:
        assert world.connector.attempts, f"the proxy does not connect to {address}"
        attempt = world.connector.attempts.popleft()
        assert attempt.address == address
        attempt.failed(reason, timed_out=timed_out)
        world.loop.run()

    return step


def no_connect() -> Step:
    """The proxy opens no connection."""

    def step(world: World, cut: Cut) -> None:
        assert not world.connector.attempts

    return step


def endpoint_sends(data: bytes, *, endpoint: int = -1) -> Step:
    def step(world: World, cut: Cut) -> None:
        for piece in cut.pieces(data):
            world.endpoints[endpoint].receive(piece)

    return step


def endpoint_closes(*, endpoint: int = -1) -> Step:
    return lambda world, cut: world.endpoints[endpoint].end()


def after(seconds: float) -> Step:
    return lambda world, cut: world.loop.advance(seconds)


def applies(*plans: Plan, removed: tuple[tuple[Any, str], ...] = ()) -> Step:
    """The agent sends new plans."""
    return lambda world, cut: world.apply(*plans, removed=removed)


@dataclass
class Message:
    """A head as it was written, and what follows it."""

    first: str
    headers: list[tuple[str, str]]
    rest: bytes
    raw: bytes = field(repr=False, default=b"")

    @classmethod
    def parse(cls, raw: bytes) -> Message:
        head, separator, rest = raw.partition(b"\r\n\r\n")
        assert separator, f"no whole head in {raw!r}"
        first, *lines = head.decode("latin-1").split("\r\n")
        return cls(first, [(n, v) for n, _, v in (line.partition(": ") for line in lines)], rest, raw)

    def expect(self, first: str, headers: dict[str, str | None] | None, body: bytes | None) -> None:
        assert self.first == first, f"{self.first!r} is not {first!r}: {self.raw!r}"
        for name, value in (headers or {}).items():
            found = [v for n, v in self.headers if n == name]
            assert found == ([] if value is None else [value]), f"{name}: {found}, not {value!r} in {self.raw!r}"
        if body is not None:
            assert self.rest == body, f"{self.rest!r} is not {body!r}"


def client_gets(
    first: str, headers: dict[str, str | None] | None = None, body: bytes | None = b"", *, client: str = "client"
) -> Step:
    """Everything written to the client since the last look is one head and its body.

    Header names are compared as they are written; None: absent. A body of None is not looked at.
    """

    def step(world: World, cut: Cut) -> None:
        Message.parse(_take(world.client(client))).expect(first, headers, body)

    return step


def client_gets_bytes(data: bytes, *, client: str = "client") -> Step:
    def step(world: World, cut: Cut) -> None:
        written = _take(world.client(client))
        assert written == data, f"{written!r} is not {data!r}"

    return step


def endpoint_gets(
    first: str, headers: dict[str, str | None] | None = None, body: bytes | None = b"", *, endpoint: int = -1
) -> Step:
    def step(world: World, cut: Cut) -> None:
        Message.parse(_take(world.endpoints[endpoint])).expect(first, headers, body)

    return step


def endpoint_gets_bytes(data: bytes, *, endpoint: int = -1) -> Step:
    def step(world: World, cut: Cut) -> None:
        written = _take(world.endpoints[endpoint])
        assert written == data, f"{written!r} is not {data!r}"

    return step


def client_is(*, closed: bool, client: str = "client") -> Step:
    """Whether the proxy has closed, or half-closed for good, its side of the client's connection."""

    def step(world: World, cut: Cut) -> None:
        transport = world.client(client)
        assert (transport.closing or transport.eof) is closed

    return step


def endpoint_is(*, closed: bool, endpoint: int = -1) -> Step:
    def step(world: World, cut: Cut) -> None:
        assert world.endpoints[endpoint].closing is closed

    return step


def _take(transport: MemoryTransport) -> bytes:
    written = bytes(transport.written)
    transport.written.clear()
    return written
