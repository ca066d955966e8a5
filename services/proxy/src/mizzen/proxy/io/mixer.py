"""A worker's side of Mixer: it decides what was decided before, and asks the agent about the rest. ★ hot."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from mizzen.proxy.codec.headers import Head, block, line, value_of
from mizzen.proxy.engine.attributes import FORWARDED_HEADER
from mizzen.proxy.engine.check_cache import CheckCache, Context, Key
from mizzen.proxy.engine.control import Ask, CheckAnswer, Checks, FromWorker, RequestFacts
from mizzen.proxy.engine.edits import BothEdits
from mizzen.proxy.engine.mixer_plan import MixerContext, MixerPlan, ServicePlan, context_of, forwarded
from mizzen.proxy.engine.route import Route, Target
from mizzen.proxy.engine.stats import MixerStats
from mizzen.proxy.engine.verdict import DEADLINE_EXCEEDED, OK, UNAVAILABLE, Verdict
from mizzen.proxy.io.exchange import UNROUTED, Exchange
from mizzen.proxy.io.forward import begin
from mizzen.proxy.io.respond import TEXT, answer, reply
from mizzen.proxy.io.waiting import Waiting

if TYPE_CHECKING:
    import asyncio

ASK_SECONDS: Final = 6.0
"""After this a check has failed; the agent's own limit is 5 s."""
TICK: Final = 0.5
MAX_WAITING: Final = 4096
"""Requests that may wait for checks."""
MAX_ROUTES: Final = 1000
"""Contexts of routes that a listener remembers, as Istio."""


class PendingCheck(Waiting):
    """A question to Mixer, and who waits for its answer."""

    __slots__ = ("client", "context", "due", "key", "leader", "waiting")

    def __init__(self, client: MixerClient, leader: Exchange, context: Context, key: Key, due: float) -> None:
        self.client = client
        self.leader = leader
        """The request that is asked about."""
        self.context = context
        self.key = key
        """By which identical questions find it; () when none may."""
        self.due = due
        self.waiting: dict[Exchange, None] = {}

    def cancel(self, x: Exchange) -> None:
        """Somebody waits no longer. The answer is still of use to others."""
        x.check = None
        if self.waiting.pop(x, self) is None:
            self.client.waiting -= 1


class Guard:
    """The filter `mixer` of one listener."""

    __slots__ = ("_by_route", "_client", "_plan")

    def __init__(self, client: MixerClient, plan: MixerPlan) -> None:
        self._client = client
        self._plan = plan
        self._by_route: dict[Route | Target, Context] = {}

    def admits(self, x: Exchange, route: Route) -> bool:
        """Whether the request may go on now; else it is answered, or waits for Mixer."""
        configured: Route | Target = route
        if route.mixer_of_target:
            x.target = configured = route.target(x.downstream.runtime.chance())
        context = self._by_route.get(configured)
        if context is None:
            context = self._bind(configured)
        x.context = context
        head = x.head
        if FORWARDED_HEADER in head:
            if self._plan.trusts_peer:
                x.forwarded = value_of(head, FORWARDED_HEADER) or b""
            del head[FORWARDED_HEADER]
        plan = context.plan
        if not plan.check:
            if context.forward_line:
                head[FORWARDED_HEADER] = context.forward_line
            return True
        client = self._client
        client.stats.total_check_calls += 1
        if plan.quotas:
            client.stats.total_quota_calls += 1
        else:
            verdict = client.cache.find(context.shapes, x, x.downstream.active_at)
            if verdict is not None:
                x.check_cached = True
                return _obey(x, context, verdict)
        client.ask(x, context, alone=bool(plan.quotas))
        return False

    def learn_peer(self, x: Exchange) -> None:
        """What a trusted peer said of itself, of a request that is refused before Mixer is asked."""
        if self._plan.trusts_peer:
            x.forwarded = value_of(x.head, FORWARDED_HEADER) or b""

    def unrouted(self) -> Context:
        """Of a request that has got no route."""
        return self._by_route.get(UNROUTED) or self._bind(UNROUTED)

    def _bind(self, route: Route | Target) -> Context:
        if len(self._by_route) >= MAX_ROUTES:
            self._by_route.clear()  # routes of tables that were replaced
        context = self._by_route[route] = self._client.context(self._plan, route.mixer)
        return context


class MixerClient:
    """What all listeners of a worker have in common: the cache, and the questions to the agent."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.cache = CheckCache()
        self.stats = MixerStats()
        self.tcp_stats = MixerStats()
        self.failures = 0
        """Checks that the agent did not answer."""
        self.waiting = 0
        """Requests that wait for an answer."""
        self.post: Callable[[FromWorker], None] | None = None
        """Gives a message to the agent; None without one."""
        self.max_waiting = MAX_WAITING
        self.connections: dict[int, Callable[[CheckAnswer], None]] = {}
        """Byte streams that wait for an answer, by its serial."""
        self._loop = loop
        self._contexts: dict[tuple[MixerContext, bytes], Context] = {}
        self._serial = 0
        self._pending: dict[int, PendingCheck] = {}
        """In the order in which they are due."""
        self._by_key: dict[Key, PendingCheck] = {}
        self._unsent: list[tuple[int, PendingCheck]] = []
        self._ticking = False

    def context(self, plan: MixerPlan, service: ServicePlan | None) -> Context:
        """The same for equal configuration, so that a new version of a listener keeps what is cached."""
        attributes = forwarded(plan, service)
        forward_line = line(FORWARDED_HEADER, b64encode(attributes)) if attributes else b""
        key = (context_of(plan, service), forward_line)
        known = self._contexts.get(key)
        if known is None:
            if len(self._contexts) >= MAX_ROUTES:
                self._contexts.clear()
            known = self._contexts[key] = Context(*key)
        return known

    def ask(self, x: Exchange, context: Context, *, alone: bool) -> None:
        """Let the request wait for Mixer's word; `alone`: not for the word about another one like it."""
        if self.post is None or self.waiting >= self.max_waiting:
            self._resolve(x, context, self._failure(context, 0, UNAVAILABLE, "too many checks are under way"))
            return
        key: Key = () if alone else (context, *[shape.key(x) for shape in context.shapes])
        pending = self._by_key.get(key) if key else None
        if pending is None:
            pending = PendingCheck(self, x, context, key, self._loop.time() + ASK_SECONDS)
            serial = self.next_serial()
            self._pending[serial] = pending
            if key:
                self._by_key[key] = pending
            if not self._unsent:
                self._loop.call_soon(self._send)
            self._unsent.append((serial, pending))
            if not self._ticking:
                self._ticking = True
                self._loop.call_later(TICK, self._tick)
        self.waiting += 1
        pending.waiting[x] = None
        x.check = pending

    def answered(self, answers: Iterable[CheckAnswer]) -> None:
        """The agent's answers."""
        for item in answers:
            pending = self._pending.pop(item.serial, None)
            if pending is not None:
                self._settle(pending, item)
            elif item.serial in self.connections:
                self.connections.pop(item.serial)(item)

    def next_serial(self) -> int:
        """Of one question."""
        self._serial += 1
        return self._serial

    def _send(self) -> None:
        """All questions of this turn of the loop in one message."""
        unsent = self._unsent
        self._unsent = []
        places: dict[MixerContext, int] = {}
        asks: list[Ask] = []
        for serial, pending in unsent:
            place = places.setdefault(pending.context.plan, len(places))
            asks.append((serial, place, request_facts(pending.leader)))
        if self.post is not None:
            self.post(Checks(tuple(places), tuple(asks)))

    def _settle(self, pending: PendingCheck, item: CheckAnswer) -> None:
        context = pending.context
        if pending.key:
            self._by_key.pop(pending.key, None)
        verdict = Verdict(item, self._loop.time())
        if item.references is not None and item.uses != 0 and context.plan.transport.check_cache:
            shape = context.shape(item.references)
            if shape is not None:
                self.cache.keep(shape, pending.leader, verdict)
        waiting = list(pending.waiting)
        self.waiting -= len(waiting)
        pending.waiting.clear()
        for x in waiting:
            x.check = None
            if x.done:
                continue
            if x is pending.leader or item.shared:
                self._resolve(x, context, verdict)
                continue
            known = self.cache.find(context.shapes, x, self._loop.time())
            if known is not None:
                x.check_cached = True
                self._resolve(x, context, known)
            else:
                self.ask(x, context, alone=True)

    def _resolve(self, x: Exchange, context: Context, verdict: Verdict) -> None:
        if _obey(x, context, verdict):
            begin(x, x.route)

    def _failure(self, context: Context, serial: int, code: int, reason: str) -> Verdict:
        """What stands for an answer that there is not."""
        self.failures += 1
        code = OK if context.plan.transport.fail_open else code
        return Verdict(CheckAnswer(serial, code, reason, shared=True), 0.0)

    def _tick(self) -> None:
        """Give up what the agent has not answered in time."""
        now = self._loop.time()
        late = [serial for serial, pending in self._pending.items() if pending.due <= now]
        for serial in late:
            pending = self._pending.pop(serial)
            self._settle(
                pending, self._failure(pending.context, serial, DEADLINE_EXCEEDED, "Mixer was not heard of").answer
            )
        self._ticking = bool(self._pending)
        if self._ticking:
            self._loop.call_later(TICK, self._tick)


def request_facts(x: Exchange) -> RequestFacts:
    """What the agent needs to know of a request."""
    head = x.head
    path = x.path
    if x.route.rewrite_path is not None:
        path = value_of(head, b"x-envoy-original-path") or path
    return (
        x.start_time,
        x.method,
        path,
        x.authority,
        x.scheme,
        block(head),
        x.forwarded,
        x.client_host,
        x.identities,
        x.claims,
    )


def _obey(x: Exchange, context: Context, verdict: Verdict) -> bool:
    """Act on a verdict; whether the request goes on."""
    x.verdict = verdict
    if verdict.response_edits is not None:
        known = x.response_edits
        x.response_edits = verdict.response_edits if known is None else BothEdits(known, verdict.response_edits)
    if verdict.refusal is not None:
        reply(x, verdict.refusal, f"Mixer refuses the request: {verdict.message}", by_route=False)
        return False
    if verdict.direct_code:
        _answer_directly(x, verdict)
        return False
    if verdict.request_edits is not None:
        verdict.request_edits.apply(x.head, x)
    if context.forward_line:
        x.head[FORWARDED_HEADER] = context.forward_line
    return True


def _answer_directly(x: Exchange, verdict: Verdict) -> None:
    head: Head = {b"content-type": TEXT} if verdict.direct_body else {}
    x.details = "direct_response"
    x.status = verdict.direct_code
    answer(x, verdict.direct_code, head, verdict.direct_body)
