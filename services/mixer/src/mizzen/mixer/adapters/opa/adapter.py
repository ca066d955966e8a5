"""opa's parameters and verdicts. Source: mixer/adapter/opa at Istio 1.0.9."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import ClassVar
from urllib.parse import urlsplit

import aiohttp
from pydantic import field_validator

from mizzen.api.types import Bool, Duration, Model
from mizzen.attributes.values import Value
from mizzen.mixer.adapter import AdapterError, CheckResult, Environment, Handler
from mizzen.mixer.adapters import metrics
from mizzen.mixer.adapters.base import HandlerBase, as_kind
from mizzen.mixer.adapters.opa.client import Client, Undefined
from mizzen.mixer.adapters.opa.engine import Engine
from mizzen.mixer.adapters.params import read
from mizzen.mixer.adapters.text import text_of
from mizzen.mixer.status import OK, Code, Status
from mizzen.mixer.templates import Authorization, Instance

log = logging.getLogger(__name__)

PROGRAM = "opa"
REJECTED = "opa: request was rejected"
_METHOD = re.compile(r"data(\.\w+)+")


class Params(Model):
    """Policies and the rule to ask for; `url` and `timeout` are Mizzen's own."""

    policy: tuple[str, ...] = ()
    check_method: str = ""
    fail_close: Bool = False
    url: str = ""
    timeout: Duration = timedelta(seconds=1)

    @field_validator("url")
    @classmethod
    def _is_url(cls, text: str) -> str:
        if text and (urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).netloc):
            raise ValueError(f"must be an http or https URL, got {text!r}")
        return text


class OpaHandler(HandlerBase):
    """Asks OPA. When that fails, `fail_close` decides."""

    def __init__(self, name: str, params: Params, client: Client, release: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._fail_close = params.fail_close
        self._path = params.check_method.removeprefix("data.").replace(".", "/")
        self._client = client
        self._release = release

    async def check(self, instance: Instance) -> CheckResult:
        document = document_of(as_kind(instance, Authorization))
        try:
            with metrics.backend_call(self._name):
                allowed = await self._client.query(self._path, document)
        except (AdapterError, Undefined, aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            log.warning("%s: no verdict: %s", self._name, reason)
            return _failed(self._fail_close, f"{REJECTED}. err: {reason}")
        if not isinstance(allowed, bool):
            return _failed(self._fail_close, REJECTED)
        return CheckResult(OK if allowed else Status(Code.PERMISSION_DENIED, REJECTED))

    async def close(self) -> None:
        await self._release()


class BrokenHandler(HandlerBase):
    """Stands in for a handler that fails closed and could not be built: denies everything."""

    async def check(self, instance: Instance) -> CheckResult:
        return _failed(True, REJECTED)


def _failed(fail_close: bool, reason: str) -> CheckResult:
    return CheckResult(Status(Code.PERMISSION_DENIED, reason) if fail_close else OK)


def document_of(instance: Authorization) -> dict[str, object]:
    """The input of the policies; what is empty is left out."""
    action, subject = instance.action, instance.subject
    act = {
        "namespace": action.namespace,
        "service": action.service,
        "method": action.method,
        "path": action.path,
        "properties": _plain(action.properties),
    }
    who = {
        "user": subject.user,
        "groups": [subject.groups] if subject.groups else [],
        "properties": _plain(subject.properties),
    }
    return {
        "action": {key: value for key, value in act.items() if value},
        "subject": {key: value for key, value in who.items() if value},
    }


def _plain(properties: Mapping[str, Value]) -> dict[str, object]:
    def plain(value: Value) -> object:
        if isinstance(value, Mapping):
            return dict(value)
        return value if isinstance(value, str | bool | int | float) else text_of(value)

    return {name: plain(value) for name, value in properties.items()}


class Opa:
    """Builds handlers that ask the OPA at `url`, or one of their own for the policies in the parameters."""

    name: ClassVar[str] = "opa"
    templates: ClassVar[frozenset[str]] = frozenset({"authorization"})

    async def build(self, params: Mapping[str, object], environment: Environment) -> Handler:
        known = read(Params, params)
        try:
            return await _build(known, environment)
        except AdapterError as error:
            if not known.fail_close:
                raise
            log.error("%s: everything is denied: %s", environment.name, error)
            return BrokenHandler()


async def _build(params: Params, environment: Environment) -> Handler:
    if not _METHOD.fullmatch(params.check_method):
        raise AdapterError(f"checkMethod: must be a rule like data.mixerauthz.allow, got {params.check_method!r}")
    seconds = params.timeout.total_seconds()
    if params.url:
        if params.policy:
            raise AdapterError("policy: belongs into the OPA at url; give one of the two")
        client = Client(params.url, seconds)
        return OpaHandler(environment.name, params, client, client.close)
    if not params.policy:
        raise AdapterError("policy: is required, unless url names an OPA that has policies")
    program = shutil.which(PROGRAM)
    if program is None:
        raise AdapterError(f"policy: needs the program {PROGRAM} on this machine's path, or an OPA at url")
    engine = Engine(program, params.policy, seconds)
    try:
        await engine.start()
    except BaseException:
        await engine.close()
        raise
    return OpaHandler(environment.name, params, engine.client, engine.close)


ADAPTER = Opa()
