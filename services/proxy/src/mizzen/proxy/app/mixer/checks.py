"""Checks and quotas: decided from what is known, else by asking Mixer."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Coroutine, Hashable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any, Final, TypeVar, cast

from google.protobuf.duration_pb2 import Duration

from mizzen.attributes.bag import DictBag, Reference
from mizzen.attributes.compressed import InvalidAttributes, encode
from mizzen.attributes.referenced import decode_references
from mizzen.attributes.values import Value
from mizzen.proto.mixer_pb2 import CheckRequest, CheckResponse, HeaderOperation
from mizzen.proxy.app.mixer.client import CallFailed, MixerCalls
from mizzen.proxy.app.mixer.quota import charges
from mizzen.proxy.app.mixer.quota_cache import Order, QuotaCache
from mizzen.proxy.app.mixer.statistics import CallStats
from mizzen.proxy.engine.check_cache import CheckCache, Shape
from mizzen.proxy.engine.control import CheckAnswer, HeaderChange
from mizzen.proxy.engine.mixer_plan import MixerContext, TransportPlan
from mizzen.proxy.engine.verdict import OK, RESOURCE_EXHAUSTED, Verdict

INVALID_ARGUMENT: Final = 3
INTERNAL: Final = 13
FOREVER: Final = 1e9
"""Seconds for which a result holds when Mixer does not say."""
MAX_SHAPES: Final = 256
MAX_TRANSPORTS: Final = 8
_CHANGES: Final[dict[int, Any]] = {
    HeaderOperation.REPLACE: "replace",
    HeaderOperation.REMOVE: "remove",
    HeaderOperation.APPEND: "append",
}

Kept = TypeVar("Kept")
Spawn = Callable[[Coroutine[Any, Any, None]], None]
"""Runs something in the background."""


class Checks:
    """Answers the workers' questions; results with quotas are kept here, for all workers."""

    def __init__(self, calls: MixerCalls, stats: CallStats, spawn: Spawn) -> None:
        self._calls = calls
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
                exhausted = self._take(context.transport, bag, wanted)
                return replace(_with_quotas(known, exhausted), serial=serial, cache_hit=True, quota_cache_hit=True)
        self._stats.total_blocking_remote_check_calls += 1
        self._stats.total_blocking_remote_quota_calls += bool(wanted)
        try:
            response = await self._ask(context.transport, bag, wanted, best_effort=False)
        except CallFailed as error:
            code = OK if context.transport.fail_open else error.code
            return CheckAnswer(serial, code, error.message, shared=True)
        answer = replace(read_answer(response, context.transport), serial=serial)
        self._keep(context, bag, answer)
        exhausted = [name for name, amount in wanted.items() if response.quotas[name].granted_amount < amount]
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

    def _take(self, transport: TransportPlan, bag: DictBag, wanted: Mapping[str, int]) -> list[str]:
        """Use up prefetched tokens; the quotas that have not enough of them."""
        cache = _of(transport, self._quotas, QuotaCache)
        exhausted = []
        for name, amount in wanted.items():
            now = time.monotonic()
            prefetch = cache.find(name, bag, now)
            asked, provisional = prefetch.wants(amount, now)
            if asked:
                self._spawn(self._prefetch(transport, bag, cache.order(name, prefetch, asked, provisional)))
            if not prefetch.take(amount, now):
                exhausted.append(name)
        return exhausted

    async def _prefetch(self, transport: TransportPlan, bag: DictBag, order: Order) -> None:
        """Fetch tokens in the background. When Mixer cannot be asked, they count as given."""
        try:
            response = await self._ask(transport, bag, {order.name: order.asked}, best_effort=True)
        except CallFailed:
            order.failed(time.monotonic())
            return
        result = response.quotas[order.name]
        try:
            references = decode_references(result.referenced_attributes)
        except InvalidAttributes:
            references = None
        lasting = _seconds(result.valid_duration) if result.HasField("valid_duration") else 0.0
        order.granted(result.granted_amount, lasting, references, bag, time.monotonic())

    async def _ask(
        self, transport: TransportPlan, bag: DictBag, quotas: Mapping[str, int], *, best_effort: bool
    ) -> CheckResponse:
        words = self._calls.words
        try:
            attributes = encode(bag.values, words)
        except InvalidAttributes as error:
            raise CallFailed(INVALID_ARGUMENT, str(error)) from error
        request = CheckRequest(attributes=attributes, global_word_count=words)
        request.deduplication_id = f"{self._client}{next(self._calls_made)}"
        for name, amount in quotas.items():
            request.quotas[name].amount = amount
            request.quotas[name].best_effort = best_effort
        self._stats.total_remote_check_calls += 1
        self._stats.total_remote_quota_calls += bool(quotas)
        try:
            return await self._calls.check(transport, request)
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


def read_answer(response: CheckResponse, transport: TransportPlan) -> CheckAnswer:
    """The check's part of a response."""
    if not response.HasField("precondition"):
        return CheckAnswer(0, INVALID_ARGUMENT, "Mixer's response has no precondition")
    result = response.precondition
    code = result.status.code
    if code == INTERNAL and transport.fail_open:
        code = OK
    directive = result.route_directive
    try:
        references = decode_references(result.referenced_attributes)
    except InvalidAttributes:
        references = None
    return CheckAnswer(
        serial=0,
        code=code,
        message=result.status.message,
        references=None if references is None else frozenset(references),
        valid_for=_seconds(result.valid_duration) if result.HasField("valid_duration") else FOREVER,
        uses=result.valid_use_count,
        request_changes=_changes(directive.request_header_operations),
        response_changes=_changes(directive.response_header_operations),
        direct_code=directive.direct_response_code if 200 <= directive.direct_response_code <= 599 else 0,
        direct_body=directive.direct_response_body,
    )


def bag_shape(references: frozenset[Reference]) -> Shape:
    """Values of attributes, as the workers' shapes are values of exchanges."""
    getters = [_getter(reference) for reference in sorted(references, key=str)]
    return Shape(tuple(getters))


def _getter(reference: Reference) -> Callable[[Any], Hashable]:
    if isinstance(reference, tuple):
        name, key = reference
        return lambda bag: cast("Hashable", bag.lookup(name, key))

    def whole(bag: Any) -> Hashable:
        value = bag.get(reference)
        return frozenset(value.items()) if isinstance(value, Mapping) else cast("Hashable", value)

    return whole


def _with_quotas(answer: CheckAnswer, exhausted: list[str]) -> CheckAnswer:
    if not exhausted:
        return answer
    return replace(answer, code=RESOURCE_EXHAUSTED, message=f"Quota is exhausted for: {','.join(exhausted)}")


def _changes(operations: Any) -> tuple[HeaderChange, ...]:
    return tuple((_CHANGES[item.operation], item.name, item.value) for item in operations if item.operation in _CHANGES)


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
