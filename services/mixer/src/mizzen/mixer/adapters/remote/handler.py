"""Instances to an adapter's process and its answers back."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from mizzen.attributes.values import Value
from mizzen.mixer.adapter import AdapterError, CheckResult, QuotaArgs, QuotaResult, Use
from mizzen.mixer.adapters.base import HandlerBase
from mizzen.mixer.adapters.push import Limits, Pusher
from mizzen.mixer.adapters.remote.backend import Backend
from mizzen.mixer.adapters.remote.messages import fill_instance, read_output
from mizzen.mixer.adapters.remote.services import SERVICES
from mizzen.mixer.status import Code, Status
from mizzen.mixer.templates import Instance

R = TypeVar("R")
Entry = tuple[int, Instance]  # with a number that names it in every attempt to send it


class RemoteHandler(HandlerBase):
    """Checks and quotas wait for the adapter; reports queue."""

    def __init__(self, name: str, backend: Backend, uses: Sequence[Use], limits: Limits) -> None:
        self._backend = backend
        self._types = {use.name: use.types for use in uses}
        self._numbers = itertools.count(random.getrandbits(62))
        self._pusher: Pusher[Entry] = Pusher(name, self._send, limits)

    async def check(self, instance: Instance) -> CheckResult:
        answer = await self._ask(instance, str(next(self._numbers)))
        status = Status(_code(answer.status.code), answer.status.message)
        return CheckResult(status, answer.valid_duration.ToTimedelta(), answer.valid_use_count)

    async def quota(self, instance: Instance, args: QuotaArgs) -> QuotaResult:
        request = self._request(instance, args.deduplication_id)
        wanted = request.quota_request.quotas[instance.name]
        wanted.amount, wanted.best_effort = args.amount, args.best_effort
        service = SERVICES[type(instance)]
        answer = await self._backend.call(service.path, request, service.response)
        if instance.name not in answer.quotas:
            raise AdapterError(f"the adapter's answer says nothing of the quota {instance.name}")
        result = answer.quotas[instance.name]
        return QuotaResult(result.granted_amount, result.valid_duration.ToTimedelta())

    async def generate(self, instance: Instance) -> Mapping[str, Value]:
        return read_output(await self._ask(instance, str(next(self._numbers))))

    async def report(self, instances: Sequence[Instance]) -> None:
        self._pusher.put((next(self._numbers), instance) for instance in instances)

    async def close(self) -> None:
        await self._pusher.close()
        await self._backend.close()

    async def _ask(self, instance: Instance, dedup_id: str) -> Any:
        service = SERVICES[type(instance)]
        return await self._backend.call(service.path, self._request(instance, dedup_id), service.response)

    def _request(self, instance: Instance, dedup_id: str) -> Any:
        request = SERVICES[type(instance)].request(dedup_id=dedup_id)
        fill_instance(request.instance, instance, self._types.get(instance.name, {}))
        return request

    async def _send(self, entries: Sequence[Entry]) -> None:
        """Each template's instances go in one call, under the number of the first of them."""
        by_kind: dict[type[Instance], list[Entry]] = {}
        for entry in entries:
            by_kind.setdefault(type(entry[1]), []).append(entry)
        for kind, same in by_kind.items():
            service = SERVICES[kind]
            request = service.request(dedup_id=str(same[0][0]))
            for _, instance in same:
                fill_instance(request.instances.add(), instance, self._types.get(instance.name, {}))
            await self._backend.call(service.path, request, service.response)


def _code(number: int) -> Code:
    try:
        return Code(number)
    except ValueError:
        return Code.UNKNOWN
