"""The handler of a Python file: calls it, and follows its changes."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import Field

from mizzen.api.types import Duration, Int32, Model
from mizzen.attributes.values import Value
from mizzen.mixer.adapter import AdapterError, CheckResult, Environment, Handler, QuotaArgs, QuotaResult
from mizzen.mixer.adapters import metrics
from mizzen.mixer.adapters.base import HandlerBase
from mizzen.mixer.adapters.params import read
from mizzen.mixer.adapters.push import Limits, Pusher
from mizzen.mixer.adapters.python.budget import ErrorBudget
from mizzen.mixer.adapters.python.caller import Caller
from mizzen.mixer.adapters.python.declare import KINDS
from mizzen.mixer.adapters.python.source import Offer, Source, load
from mizzen.mixer.adapters.threads import Threads
from mizzen.mixer.status import Status
from mizzen.mixer.templates import Instance

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
LOAD_SECONDS = 10.0
_TEMPLATES = {kind: template for template, kind in KINDS.items()}
_Version = tuple[int, int, int]
R = TypeVar("R")


class Params(Model):
    """Which file, what it is given, and what it may cost."""

    file: str
    params: dict[str, Any] = Field(default_factory=dict)
    timeout: Duration = timedelta(seconds=1)
    max_errors: Annotated[Int32, Field(ge=1)] = 10
    rest: Duration = timedelta(seconds=30)
    threads: Annotated[Int32, Field(ge=1, le=64)] = 4
    queue_size: Annotated[Int32, Field(ge=1)] = 10_000


class PythonHandler(HandlerBase):
    """Gives instances to what the file offers. Reports queue; checks and quotas wait for the answer."""

    def __init__(self, name: str, params: Params, needed: frozenset[str]) -> None:
        self._name = name
        self._params = params
        self._needed = needed
        self._path = Path(params.file)
        self._version: _Version | None = None
        self._source = Source({})
        seconds = params.timeout.total_seconds()
        budget = ErrorBudget(params.max_errors, params.rest.total_seconds())
        self._caller = Caller(name, self._path, seconds, params.threads, budget)
        limits = Limits(queue=params.queue_size, interval=0.05, timeout=None, attempts=1)
        self._pusher: Pusher[Instance] = Pusher(name, self._give, limits)
        self._watcher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load the file, and follow its changes from now on; raises AdapterError."""
        self._version = _version(self._path)
        self._source = await self._load()
        self._watcher = asyncio.create_task(self._watch(), name=f"changes of {self._path}")

    async def check(self, instance: Instance) -> CheckResult:
        result = await self._caller.call(self._offer(instance), instance)
        if isinstance(result, Status):
            return CheckResult(result)
        found = self._expect(result, CheckResult)
        if not _is_output(found.output):
            raise AdapterError(f"{self._path}: returned the output {found.output!r}, and not texts by their names")
        return found

    async def report(self, instances: Sequence[Instance]) -> None:
        for instance in instances:
            self._offer(instance)
        self._pusher.put(instances)

    async def quota(self, instance: Instance, args: QuotaArgs) -> QuotaResult:
        return self._expect(await self._caller.call(self._offer(instance), instance, args), QuotaResult)

    async def generate(self, instance: Instance) -> Mapping[str, Value]:
        return self._expect(await self._caller.call(self._offer(instance), instance), dict)

    async def close(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        await self._pusher.close()
        await self._finish(self._source)

    async def follow(self) -> None:
        """Load the file again if it changed. When it is bad, the one before goes on and the log says why."""
        version = _version(self._path)
        if version == self._version:
            return
        self._version = version
        try:
            source = await self._load()
        except AdapterError as error:
            log.error("%s: the file changed and is not used: %s", self._name, error)
            metrics.RELOADS.labels(self._name, "error").inc()
            return
        old, self._source = self._source, source
        metrics.RELOADS.labels(self._name, "ok").inc()
        log.info("%s: loaded %s again", self._name, self._path)
        await self._finish(old)

    async def _load(self) -> Source:
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                source = await Threads(self._name, 1).run(partial(load, self._path, self._params.params))
        except TimeoutError:
            raise AdapterError(f"{self._path}: running it took longer than {LOAD_SECONDS:g}s") from None
        missing = self._needed - set(source.offers)
        if missing:
            wanted, found = ", ".join(sorted(missing)), ", ".join(sorted(source.offers))
            raise AdapterError(f"{self._path}: rules send it {wanted}, and it only offers {found}")
        return source

    def _offer(self, instance: Instance) -> Offer:
        template = _TEMPLATES[type(instance)]
        offer = self._source.offers.get(template)
        if offer is None:
            raise AdapterError(f"{self._path}: offers nothing for {template}")
        return offer

    async def _give(self, instances: Sequence[Instance]) -> None:
        """Deliver a batch, each template's instances in one call."""
        by_kind: dict[type[Instance], list[Instance]] = {}
        for instance in instances:
            by_kind.setdefault(type(instance), []).append(instance)
        for same in by_kind.values():
            await self._caller.call(self._offer(same[0]), tuple(same))

    def _expect(self, result: object, kind: type[R]) -> R:
        if not isinstance(result, kind):
            raise AdapterError(f"{self._path}: returned {type(result).__name__}, and not {kind.__name__}")
        return result

    async def _finish(self, source: Source) -> None:
        for offer in source.offers.values():
            if offer.close is not None:
                await self._caller.finish(offer.close)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self.follow()


def _is_output(given: object) -> bool:
    return isinstance(given, Mapping) and all(isinstance(part, str) for entry in given.items() for part in entry)


def _version(path: Path) -> _Version:
    """What changes when a file does; all zero for none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - its fields are wanted
    except OSError:
        return (0, 0, 0)
    return status.st_mtime_ns, status.st_size, status.st_ino


class Python:
    """Builds handlers from files of Python."""

    name: ClassVar[str] = "python"
    templates: ClassVar[frozenset[str]] = frozenset(KINDS)
    gives_output: ClassVar[bool] = True

    async def build(self, params: Mapping[str, object], environment: Environment) -> Handler:
        needed = frozenset(use.template for use in environment.uses)
        handler = PythonHandler(environment.name, read(Params, params), needed)
        try:
            await handler.start()
        except BaseException:
            await handler.close()
            raise
        return handler


ADAPTER = Python()
