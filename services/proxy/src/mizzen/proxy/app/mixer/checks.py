"""Checks and quotas: decided from what is known, else by asking Mixer."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine, Hashable, Mapping
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any, Final, TypeVar, cast

from mizzen.attributes.bag import DictBag, Reference
from mizzen.attributes.values import Value
from mizzen.proxy.app.mixer.contract import CALL_SECONDS, INTERNAL, CallFailed, Decision, Grant, MixerClient, Question
from mizzen.proxy.app.mixer.quota import Prefetch, charges
from mizzen.proxy.app.mixer.quota_cache import Order, QuotaCache
from mizzen.proxy.app.mixer.statistics import CallStats
from mizzen.proxy.engine.check_cache import CheckCache, Shape
from mizzen.proxy.engine.control import CheckAnswer
from mizzen.proxy.engine.mixer_plan import MixerContext, TransportPlan
from mizzen.proxy.engine.verdict import OK, RESOURCE_EXHAUSTED, Verdict

MAX_SHAPES: Final = 256
MAX_TRANSPORTS: Final = 8

_NOTHING: Final = Grant(references={})

Kept = TypeVar("Kept")
Spawn = Callable[[Coroutine[Any, Any, None]], None]
"""Runs something in the background."""


class Checks:
    """Answers the workers' questions; results with quotas are kept here, for all workers."""

    def __init__(self, mixer: MixerClient, stats: CallStats, spawn: Spawn) -> None:
        self._mixer = mixer
        self._stats = stats
        self._spawn = spawn
        self._cache = CheckCache()
        self._shapes: dict[TransportPlan, dict[frozenset[Reference], Shape]] = {}
        """Apart for each Mixer: two may decide differently."""
        self._quotas: dict[TransportPlan, QuotaCache] = {}
        self._client = str(uuid.uuid4())
        self._calls_made = count(1)

    async def decide(self, context: MixerContext, attributes: dict[str, Value], serial: int) -> CheckAnswer:
        """Whether this request or connection may go on."""
        bag = DictBag(attributes)
        wanted = charges(context.quotas, bag)
        known = self._find(context, bag)
        if known is not None:
            if known.code != OK or not wanted:
                return replace(known, serial=serial, cache_hit=True)
            if context.transport.quota_cache:
                tokens = _of(context.transport, self._quotas, QuotaCache)
                charge = partial(self._charge, context.transport, tokens, bag)
                exhausted = [name for name, amount in wanted.items() if not await charge(name, amount)]
                return replace(_with_quotas(known, exhausted), serial=serial, cache_hit=True, quota_cache_hit=True)
        self._stats.total_blocking_remote_check_calls += 1
        self._stats.total_blocking_remote_quota_calls += bool(wanted)
        try:
            decision = await self._ask(context.transport, bag, wanted, best_effort=False)
        except CallFailed as error:
            code = OK if context.transport.fail_open else error.code
            return CheckAnswer(serial, code, error.message, shared=True)
        answer = replace(decision.answer, serial=serial)
        if answer.code == INTERNAL and context.transport.fail_open:
            answer = replace(answer, code=OK)
        self._keep(context, bag, answer)
        exhausted = [name for name, amount in wanted.items() if decision.grants.get(name, _NOTHING).amount < amount]
        return _with_quotas(answer, exhausted) if answer.code == OK else answer

    def _find(self, context: MixerContext, bag: DictBag) -> CheckAnswer | None:
        if not context.transport.check_cache:
            return None
        now = time.monotonic()
        shapes = self._shapes.get(context.transport, {})
        verdict = self._cache.find(list(shapes.values()), cast("Any", bag), now)
        return None if verdict is None else replace(verdict.answer, valid_for=verdict.expires_at - now)

    def _keep(self, context: MixerContext, bag: DictBag, answer: CheckAnswer) -> None:
        references = answer.references
        if references is None or answer.uses == 0 or not context.transport.check_cache:
            return
        shapes = _of(context.transport, self._shapes, dict)
        shape = shapes.get(references)
        if shape is None:
            if len(shapes) >= MAX_SHAPES:
                return
            shape = shapes[references] = bag_shape(references)
        self._cache.keep(shape, cast("Any", bag), Verdict(answer, time.monotonic()))

    async def _charge(self, transport: TransportPlan, tokens: QuotaCache, bag: DictBag, name: str, amount: int) -> bool:
        """Whether prefetched tokens of a quota are enough for a request, which uses them up.

        Waits for tokens that are under way. Nobody is turned away because Mixer does not answer.
        """
        counted: Prefetch | None = None
        try:
            async with asyncio.timeout(CALL_SECONDS):
                while True:
                    now = time.monotonic()
                    prefetch = tokens.find(name, bag, now)  # another one, perhaps, once it is known what counts
                    if prefetch is not counted:
                        counted = prefetch
                        prefetch.count(amount, now)
                    asked = prefetch.wants(amount, now)
                    if asked:
                        self._spawn(self._prefetch(transport, bag, Order(tokens, name, prefetch, asked)))
                    if prefetch.take(amount, now):
                        return True
                    if not prefetch.in_flight:
                        return False
                    answered = asyncio.Event()
                    prefetch.waiting.append(answered.set)
                    await answered.wait()
        except TimeoutError:
            return True

    async def _prefetch(self, transport: TransportPlan, bag: DictBag, order: Order) -> None:
        """Fetch tokens in the background. When Mixer cannot be asked, they count as given."""
        try:
            decision = await self._ask(transport, bag, {order.name: order.asked}, best_effort=True)
        except CallFailed:
            order.failed(time.monotonic())
            return
        grant = decision.grants.get(order.name, _NOTHING)
        order.granted(grant.amount, grant.seconds, grant.references, bag, time.monotonic())

    async def _ask(
        self, transport: TransportPlan, bag: DictBag, quotas: Mapping[str, int], *, best_effort: bool
    ) -> Decision:
        question = Question(bag, f"{self._client}{next(self._calls_made)}", quotas, best_effort)
        self._stats.total_remote_check_calls += 1
        self._stats.total_remote_quota_calls += bool(quotas)
        try:
            return await self._mixer.check(transport, question)
        except CallFailed:
            self._stats.total_remote_check_failures += 1
            raise


def _of(transport: TransportPlan, known: dict[TransportPlan, Kept], make: Callable[[], Kept]) -> Kept:
    """What is kept for a Mixer; that of the one seen first makes room."""
    if transport not in known:
        if len(known) >= MAX_TRANSPORTS:
            del known[next(iter(known))]
        known[transport] = make()
    return known[transport]


def bag_shape(references: frozenset[Reference]) -> Shape:
    """Values of attributes, as the workers' shapes are values of exchanges."""
    getters = [_getter(reference) for reference in sorted(references, key=str)]
    return Shape(tuple(getters))


def _getter(reference: Reference) -> Callable[[Any], Hashable]:
    if isinstance(reference, tuple):
        name, key = reference

        def entry(bag: Any) -> Hashable:
            value = bag.lookup(name, key)
            # No map at all is another thing than a map without the key: what a decision makes of it may differ.
            return bag.has_map(name) if value is None else cast("Hashable", value)

        return entry

    def whole(bag: Any) -> Hashable:
        value = bag.get(reference)
        return frozenset(value.items()) if isinstance(value, Mapping) else cast("Hashable", value)

    return whole


def _with_quotas(answer: CheckAnswer, exhausted: list[str]) -> CheckAnswer:
    if not exhausted:
        return answer
    return replace(answer, code=RESOURCE_EXHAUSTED, message=f"Quota is exhausted for: {','.join(exhausted)}")
