"""denier: refuses every check with a status of the operator's choice, and every quota."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from mizzen.api.types import DurationOrZero, Int32, Model
from mizzen.mixer import status
from mizzen.mixer.adapter import CheckResult, Environment, Handler, QuotaArgs, QuotaResult
from mizzen.mixer.adapters.base import HandlerBase
from mizzen.mixer.adapters.params import read
from mizzen.mixer.templates import Instance


def _code(value: Any) -> Any:
    known = {code.name: code for code in status.Code}
    try:
        return known[value] if isinstance(value, str) and value in known else status.Code(int(value))
    except (TypeError, ValueError):
        raise ValueError(f"must be a code from 0 to 16 or its name, such as PERMISSION_DENIED, got {value!r}") from None


class Refusal(Model):
    """`google.rpc.Status`."""

    code: Annotated[status.Code, BeforeValidator(_code)] = status.Code.FAILED_PRECONDITION
    message: str = ""


class Params(Model):
    """Numbers as Istio's denier has them."""

    status: Refusal = Refusal()
    valid_duration: DurationOrZero = timedelta(seconds=5)
    valid_use_count: Annotated[Int32, Field(ge=0)] = 1000


class DenierHandler(HandlerBase):
    """One answer, whatever the request."""

    def __init__(self, params: Params) -> None:
        refusal = status.Status(params.status.code, params.status.message)
        self._answer = CheckResult(refusal, params.valid_duration, params.valid_use_count)

    async def check(self, instance: Instance) -> CheckResult:
        return self._answer

    async def quota(self, instance: Instance, args: QuotaArgs) -> QuotaResult:
        return QuotaResult(0)


class Denier:
    """Builds handlers that say no."""

    name: ClassVar[str] = "denier"
    templates: ClassVar[frozenset[str]] = frozenset({"checknothing", "listentry", "quota"})

    async def build(self, params: Mapping[str, object], environment: Environment) -> Handler:
        return DenierHandler(read(Params, params))


ADAPTER = Denier()
