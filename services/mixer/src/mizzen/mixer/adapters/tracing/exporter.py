"""The handler of tracing systems that take batches of spans in an HTTP POST."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import aiohttp

from mizzen.mixer.adapter import AdapterError
from mizzen.mixer.adapters.base import HandlerBase, as_kind
from mizzen.mixer.adapters.push import Limits, Pusher
from mizzen.mixer.adapters.tracing.span import Span, is_sampled, span_of
from mizzen.mixer.templates import Instance, TraceSpan

MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class Target:
    """Where spans go, and which."""

    url: str
    probability: float
    encode: Callable[[Sequence[Span]], str]  # to JSON


class SpanExporter(HandlerBase):
    """Queues spans, and posts them in batches."""

    def __init__(self, name: str, target: Target, limits: Limits) -> None:
        self._target = target
        self._pusher: Pusher[Span] = Pusher(name, self._post, limits)
        self._session = aiohttp.ClientSession()

    async def report(self, instances: Sequence[Instance]) -> None:
        spans: list[Span] = []
        wrong: list[str] = []
        for instance in instances:
            try:
                spans.append(span_of(as_kind(instance, TraceSpan)))
            except ValueError as error:
                wrong.append(str(error))
        self._pusher.put(span for span in spans if is_sampled(span, self._target.probability))
        if wrong:
            raise AdapterError("; ".join(dict.fromkeys(wrong)))

    async def close(self) -> None:
        await self._pusher.close()
        await self._session.close()

    async def _post(self, spans: Sequence[Span]) -> None:
        headers = {"Content-Type": "application/json"}
        body = self._target.encode(spans).encode()
        async with self._session.post(self._target.url, data=body, headers=headers) as response:
            if response.status >= 300:
                reason = (await response.content.read(MAX_REASON)).decode(errors="replace")
                raise AdapterError(f"{self._target.url} answered {response.status}: {reason}")
