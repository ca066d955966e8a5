"""stdio's parameters and handler. Source: mixer/adapter/stdio at Istio 1.0.9, less its mix-up of rotation limits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from mizzen.api.types import Bool, Int32, Model
from mizzen.attributes.values import Value
from mizzen.mixer.adapter import AdapterError, Environment, Handler
from mizzen.mixer.adapters.base import HandlerBase, as_kind
from mizzen.mixer.adapters.params import by_number, read
from mizzen.mixer.adapters.push import Limits, Pusher
from mizzen.mixer.adapters.stdio.lines import Level, json_line, text_line
from mizzen.mixer.adapters.stdio.sink import MEGABYTE, File, RotatedFile, Sink, Stream
from mizzen.mixer.adapters.threads import Threads
from mizzen.mixer.templates import Instance, LogEntry, Metric

LIMITS = Limits(queue=100_000, batch=1_000, interval=0.05, timeout=None, attempts=1)
CLOSE_SECONDS = 1.0


class LogStream(StrEnum):
    """Where lines go."""

    STDOUT = "STDOUT"
    STDERR = "STDERR"
    FILE = "FILE"
    ROTATED_FILE = "ROTATED_FILE"


_LEVELS = {
    Level.INFO: ("informational", "info"),
    Level.WARNING: ("warning", "warn"),
    Level.ERROR: ("error", "err", "fatal"),
}
_SEVERITIES = {
    spelling: level for level, words in _LEVELS.items() for word in words for spelling in (word, word.upper())
}

_Level = Annotated[Level, by_number(Level)]
_Count = Annotated[Int32, Field(ge=0)]


class Params(Model):
    """Where lines go and which; a rotation limit of 0 is none."""

    log_stream: Annotated[LogStream, by_number(LogStream)] = LogStream.STDOUT
    severity_levels: dict[str, _Level] = Field(default_factory=lambda: dict(_SEVERITIES))
    metric_level: _Level = Level.INFO
    output_as_json: Bool = True
    output_level: _Level = Level.INFO
    output_path: str = ""
    max_megabytes_before_rotation: _Count = 100
    max_days_before_rotation: _Count = 30
    max_rotated_files: _Count = 1000

    @model_validator(mode="after")
    def _path_fits_stream(self) -> Params:
        to_file = self.log_stream in (LogStream.FILE, LogStream.ROTATED_FILE)
        if to_file and not self.output_path:
            raise ValueError(f"outputPath is required when logStream is {self.log_stream}")
        if self.output_path and not to_file:
            raise ValueError(f"outputPath needs logStream FILE or ROTATED_FILE, got {self.log_stream}")
        return self


class StdioHandler(HandlerBase):
    """Writes lines from a thread, so that a reader who does not read holds nothing up."""

    def __init__(self, name: str, params: Params, sink: Sink) -> None:
        self._params = params
        self._sink = sink
        self._line = json_line if params.output_as_json else text_line
        self._shown = frozenset(list(Level)[list(Level).index(params.output_level) :])
        self._writer = Threads(name, 1)
        self._pusher: Pusher[str] = Pusher(name, self._write, LIMITS)

    async def report(self, instances: Sequence[Instance]) -> None:
        self._pusher.put(self._lines(instances))

    async def close(self) -> None:
        await self._pusher.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._writer.run(self._sink.close)

    def _lines(self, instances: Sequence[Instance]) -> Iterator[str]:
        for instance in instances:
            if isinstance(instance, LogEntry):
                level = self._params.severity_levels.get(instance.severity, Level.INFO)
                time, fields = instance.timestamp, _sorted(instance.variables)
            else:
                metric = as_kind(instance, Metric)
                level, time = self._params.metric_level, datetime.now(UTC)
                fields = {"value": metric.value} | _sorted(metric.dimensions)
            if level in self._shown:
                yield self._line(level, time, instance.name, fields)

    async def _write(self, lines: Sequence[str]) -> None:
        await self._writer.run(partial(self._sink.write, "".join(lines).encode()))


def _sorted(fields: Mapping[str, Value]) -> dict[str, Value]:
    return {name: fields[name] for name in sorted(fields)}


def _open(params: Params) -> Sink:
    match params.log_stream:
        case LogStream.FILE:
            return File(Path(params.output_path))
        case LogStream.ROTATED_FILE:
            age = timedelta(days=params.max_days_before_rotation)
            size = params.max_megabytes_before_rotation * MEGABYTE
            return RotatedFile(Path(params.output_path), size, age, params.max_rotated_files)
    return Stream(1 if params.log_stream is LogStream.STDOUT else 2)


class Stdio:
    """Builds handlers that write lines."""

    name: ClassVar[str] = "stdio"
    templates: ClassVar[frozenset[str]] = frozenset({"logentry", "metric"})

    async def build(self, params: Mapping[str, object], environment: Environment) -> Handler:
        known = read(Params, params)
        try:
            sink = _open(known)
        except OSError as error:
            raise AdapterError(f"outputPath: cannot write {known.output_path}: {error.strerror}") from None
        return StdioHandler(environment.name, known, sink)


ADAPTER = Stdio()
