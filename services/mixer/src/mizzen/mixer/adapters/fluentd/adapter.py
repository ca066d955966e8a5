"""fluentd's parameters and handler. Source: mixer/adapter/fluentd at Istio 1.0.9."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from mizzen.api.types import Bool, Duration, Model
from mizzen.mixer.adapter import Environment, Handler
from mizzen.mixer.adapters.base import HandlerBase, as_kind
from mizzen.mixer.adapters.fluentd.connection import Connection
from mizzen.mixer.adapters.fluentd.forward import encode
from mizzen.mixer.adapters.params import read
from mizzen.mixer.adapters.push import Limits, Pusher
from mizzen.mixer.templates import Instance, LogEntry
from mizzen.runtime.address import Address


class Params(Model):
    """Where the daemon is and how much is sent at once."""

    address: str = "localhost:24224"
    integer_duration: Bool = False
    instance_buffer_size: Annotated[int, Field(ge=1, le=10_000_000)] = 1024
    max_batch_size_bytes: Annotated[int, Field(ge=1, le=2**30)] = 8 * 2**20
    push_interval_duration: Duration = timedelta(minutes=1)
    push_timeout_duration: Duration = timedelta(minutes=1)

    @field_validator("address")
    @classmethod
    def _is_address(cls, text: str) -> str:
        Address.parse(text)
        return text


class FluentdHandler(HandlerBase):
    """Encodes entries when they come, and sends them in batches."""

    def __init__(self, name: str, params: Params) -> None:
        self._integer_duration = params.integer_duration
        self._connection = Connection(Address.parse(params.address))
        limits = Limits(
            queue=params.instance_buffer_size,
            batch=params.max_batch_size_bytes,
            interval=params.push_interval_duration.total_seconds(),
            timeout=params.push_timeout_duration.total_seconds(),
        )
        self._pusher: Pusher[bytes] = Pusher(name, self._connection.write, limits, weigh=len)

    async def report(self, instances: Sequence[Instance]) -> None:
        entries = (as_kind(instance, LogEntry) for instance in instances)
        self._pusher.put(encode(entry, integer_duration=self._integer_duration) for entry in entries)

    async def close(self) -> None:
        await self._pusher.close()
        await self._connection.close()


class Fluentd:
    """Builds handlers that forward; the daemon need not run yet."""

    name: ClassVar[str] = "fluentd"
    templates: ClassVar[frozenset[str]] = frozenset({"logentry"})

    async def build(self, params: Mapping[str, object], environment: Environment) -> Handler:
        return FluentdHandler(environment.name, read(Params, params))


ADAPTER = Fluentd()
