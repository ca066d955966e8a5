"""noop: takes everything, and says yes to everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

from mizzen.api.types import Model
from mizzen.mixer.adapter import CheckResult, Environment, Handler, QuotaArgs, QuotaResult
from mizzen.mixer.adapters.base import HandlerBase
from mizzen.mixer.adapters.params import read
from mizzen.mixer.templates import Instance

FOREVER = timedelta(seconds=10**9)
USES = 10**9


class Params(Model):
    """There are none."""


class NoopHandler(HandlerBase):
    """Every check passes, every quota is granted, every report is dropped."""

    async def check(self, instance: Instance) -> CheckResult:
        return CheckResult(valid_duration=FOREVER, valid_use_count=USES)

    async def report(self, instances: Sequence[Instance]) -> None:
        """Reports go nowhere."""

    async def quota(self, instance: Instance, args: QuotaArgs) -> QuotaResult:
        return QuotaResult(max(args.amount, 0), FOREVER)


class Noop:
    """Builds handlers that do nothing; measures the cost of everything around an adapter."""

    name: ClassVar[str] = "noop"
    templates: ClassVar[frozenset[str]] = frozenset(
        {"authorization", "checknothing", "reportnothing", "listentry", "logentry", "metric", "quota", "tracespan"}
    )

    async def build(self, params: Mapping[str, object], environment: Environment) -> Handler:
        read(Params, params)
        return NoopHandler()


ADAPTER = Noop()
