"""listchecker's parameters and verdicts. Source: mixer/adapter/list at Istio 1.0.9."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from mizzen.api.syntax import format_duration
from mizzen.api.types import Bool, DurationOrZero, Int32, Model
from mizzen.mixer.adapter import AdapterError, CheckResult, Environment, Handler
from mizzen.mixer.adapters import metrics
from mizzen.mixer.adapters.base import HandlerBase, as_kind
from mizzen.mixer.adapters.listchecker.entries import Entries, EntryType, build
from mizzen.mixer.adapters.listchecker.provider import Provider
from mizzen.mixer.adapters.params import by_number, read
from mizzen.mixer.adapters.text import text_of
from mizzen.mixer.status import OK, Code, Status
from mizzen.mixer.templates import Instance, ListEntry


class Params(Model):
    """Where the list comes from, and what being on it means."""

    provider_url: str = ""
    refresh_interval: DurationOrZero = timedelta(seconds=60)
    ttl: DurationOrZero = timedelta(seconds=300)
    caching_interval: DurationOrZero = timedelta(seconds=300)
    caching_use_count: Annotated[Int32, Field(ge=0)] = 10000
    overrides: tuple[str, ...] = ()
    entry_type: Annotated[EntryType, by_number(EntryType)] = EntryType.STRINGS
    blacklist: Bool = False

    @field_validator("provider_url")
    @classmethod
    def _has_scheme_and_host(cls, url: str) -> str:
        if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc):
            raise ValueError(f"must be a URL like http://lists.default.svc.cluster.local/denied, got {url!r}")
        return url

    @model_validator(mode="after")
    def _times_fit(self) -> Params:
        if self.provider_url and self.refresh_interval < timedelta(seconds=1):
            raise ValueError(f"refreshInterval must be at least 1s, got {format_duration(self.refresh_interval)}")
        if self.provider_url and self.ttl < self.refresh_interval:
            ttl, interval = format_duration(self.ttl), format_duration(self.refresh_interval)
            raise ValueError(f"ttl must not be less than refreshInterval ({interval}), got {ttl}")
        return self


class Inline:
    """A list that is written in the parameters."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    def current(self, now: float) -> Entries:
        """The list, at any time."""
        return self._entries

    async def close(self) -> None:
        """Nothing is held."""


class ListHandler(HandlerBase):
    """Judges values by a list."""

    def __init__(self, params: Params, source: Inline | Provider) -> None:
        self._params = params
        self._source = source

    async def check(self, instance: Instance) -> CheckResult:
        entries = self._source.current(asyncio.get_running_loop().time())
        verdict = self._judge(as_kind(instance, ListEntry), entries)
        return CheckResult(verdict, self._params.caching_interval, self._params.caching_use_count)

    async def close(self) -> None:
        await self._source.close()

    def _judge(self, entry: ListEntry, entries: Entries) -> Status:
        try:
            found = entry.value in entries
        except ValueError as error:
            return Status(Code.INVALID_ARGUMENT, str(error))
        if self._params.blacklist:
            return Status(Code.PERMISSION_DENIED, f"{text_of(entry.value)} is blacklisted") if found else OK
        return OK if found else Status(Code.NOT_FOUND, f"{text_of(entry.value)} is not whitelisted")


class ListChecker:
    """Builds handlers with a list; without providerUrl, `overrides` are the list."""

    name: ClassVar[str] = "listchecker"
    templates: ClassVar[frozenset[str]] = frozenset({"listentry"})

    async def build(self, params: Mapping[str, object], environment: Environment) -> Handler:
        read_params = read(Params, params)

        def parse(text: str) -> Entries:
            return build(read_params.entry_type, text, read_params.overrides)

        try:
            inline = parse("")
        except ValueError as error:
            raise AdapterError(f"overrides: {error}") from None
        if not read_params.provider_url:
            metrics.ENTRIES.labels(environment.name).set(len(inline))
            return ListHandler(read_params, Inline(inline))
        refresh, ttl = read_params.refresh_interval.total_seconds(), read_params.ttl.total_seconds()
        provider = Provider(environment.name, read_params.provider_url, parse, refresh, ttl)
        await provider.start()
        return ListHandler(read_params, provider)


ADAPTER = ListChecker()
