"""statsd's parameters and handler. Source: mixer/adapter/statsd at Istio 1.0.9."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from mizzen.api.types import Duration, Int32, Model, Number
from mizzen.attributes.values import Value
from mizzen.mixer.adapter import AdapterError, Environment, Handler
from mizzen.mixer.adapters.base import HandlerBase, as_kind
from mizzen.mixer.adapters.params import by_number, read
from mizzen.mixer.adapters.push import Limits, Pusher
from mizzen.mixer.adapters.statsd.names import compile_name
from mizzen.mixer.adapters.text import float_text, text_of
from mizzen.mixer.templates import Instance, Metric
from mizzen.runtime.address import Address

QUEUE = 10_000
MAX_DATAGRAM = 65_000


class Kind(StrEnum):
    """What statsd does with a value."""

    UNKNOWN = "UNKNOWN"
    COUNTER = "COUNTER"
    GAUGE = "GAUGE"
    DISTRIBUTION = "DISTRIBUTION"


class MetricInfo(Model):
    """How an instance becomes a statsd metric."""

    type: Annotated[Kind, by_number(Kind)]
    name_template: str = ""

    @field_validator("type")
    @classmethod
    def _is_known(cls, kind: Kind) -> Kind:
        if kind is Kind.UNKNOWN:
            raise ValueError("must be one of COUNTER, GAUGE, DISTRIBUTION")
        return kind

    @field_validator("name_template")
    @classmethod
    def _is_template(cls, text: str) -> str:
        compile_name(text, "")
        return text


class Params(Model):
    """Where statsd is, and which instances it gets; a datagram is sent when it is full or its time has come."""

    address: str = "localhost:8125"
    prefix: str = ""
    flush_duration: Duration = timedelta(milliseconds=300)
    flush_bytes: Annotated[Int32, Field(ge=0, le=MAX_DATAGRAM)] = 512
    sampling_rate: Annotated[Number, Field(ge=0, le=1)] = 1.0
    metrics: dict[str, MetricInfo] = Field(default_factory=dict)

    @field_validator("address")
    @classmethod
    def _is_address(cls, text: str) -> str:
        Address.parse(text)
        return text


class StatsdHandler(HandlerBase):
    """Writes values as lines, and sends as many in a datagram as fit."""

    def __init__(self, name: str, params: Params) -> None:
        self._address = Address.parse(params.address)
        self._prefix = f"{params.prefix}." if params.prefix else ""
        self._rate = params.sampling_rate
        self._rate_mark = f"|@{float_text(self._rate)}" if self._rate < 1 else ""
        self._metrics = {
            instance: (info.type, compile_name(info.name_template, instance))
            for instance, info in params.metrics.items()
        }
        limits = Limits(queue=QUEUE, batch=params.flush_bytes or 512, interval=params.flush_duration.total_seconds())
        self._transport: asyncio.DatagramTransport | None = None
        self._pusher: Pusher[bytes] = Pusher(name, self._send, limits, weigh=_line_length)

    async def report(self, instances: Sequence[Instance]) -> None:
        lines: list[bytes] = []
        wrong: list[str] = []
        for instance in instances:
            try:
                line = self._line(as_kind(instance, Metric))
            except ValueError as error:
                wrong.append(str(error))
                continue
            if self._rate >= 1 or random.random() < self._rate:
                lines.append(line)
        self._pusher.put(lines)
        if wrong:
            raise AdapterError("; ".join(dict.fromkeys(wrong)))

    async def close(self) -> None:
        await self._pusher.close()
        if self._transport is not None:
            self._transport.close()

    def _line(self, metric: Metric) -> bytes:
        if metric.name not in self._metrics:
            raise ValueError(f"metrics has nothing for the instance {metric.name}")
        kind, name = self._metrics[metric.name]
        head = f"{self._prefix}{name(metric.dimensions)}"
        amount = _amount(kind, metric)
        # A gauge with a sign is a change of the gauge, so one below zero is set to zero first.
        zero = f"{head}:0|g{self._rate_mark}\n" if kind is Kind.GAUGE and amount.startswith("-") else ""
        return f"{zero}{head}:{amount}{self._rate_mark}".encode()

    async def _send(self, lines: Sequence[bytes]) -> None:
        if self._transport is None or self._transport.is_closing():
            loop = asyncio.get_running_loop()
            self._transport, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=(self._address.host, self._address.port)
            )
        self._transport.sendto(b"\n".join(lines))


def _line_length(line: bytes) -> int:
    return len(line) + 1


def _amount(kind: Kind, metric: Metric) -> str:
    value: Value = metric.value
    if kind is Kind.DISTRIBUTION and isinstance(value, timedelta):
        return f"{float_text(value / timedelta(milliseconds=1))}|ms"
    if not isinstance(value, int) or isinstance(value, bool):
        wanted = "a whole number or a duration" if kind is Kind.DISTRIBUTION else "a whole number"
        raise ValueError(f"{metric.name} is a {kind} and needs {wanted}, got {text_of(value)!r}")
    return f"{value}|g" if kind is Kind.GAUGE else f"{value}|c"


class Statsd:
    """Builds handlers that send datagrams; nobody need listen yet."""

    name: ClassVar[str] = "statsd"
    templates: ClassVar[frozenset[str]] = frozenset({"metric"})

    async def build(self, params: Mapping[str, object], environment: Environment) -> Handler:
        return StatsdHandler(environment.name, read(Params, params))


ADAPTER = Statsd()
