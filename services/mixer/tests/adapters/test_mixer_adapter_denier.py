"""denier and noop: one answer for all."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mizzen.mixer.adapter import AdapterError, CheckResult, QuotaArgs, QuotaResult
from mizzen.mixer.status import Code, Status
from mizzen.mixer.templates import CheckNothing, ListEntry, Quota, ReportNothing


async def test_defaults_are_istios(build):
    handler = await build("denier")
    answer = await handler.check(CheckNothing("all.checknothing.default"))
    assert answer == CheckResult(Status(Code.FAILED_PRECONDITION), timedelta(seconds=5), 1000)


@pytest.mark.parametrize("code", [7, "7", "PERMISSION_DENIED"])
async def test_the_status_is_the_operators(build, code):
    params = {"status": {"code": code, "message": "Not allowed"}, "validDuration": "1m", "valid_use_count": 3}
    handler = await build("denier", params)
    answer = await handler.check(ListEntry("l.listentry.default", "x"))
    assert answer == CheckResult(Status(Code.PERMISSION_DENIED, "Not allowed"), timedelta(minutes=1), 3)


async def test_a_message_alone_keeps_the_default_code(build):
    handler = await build("denier", {"status": {"message": "no"}})
    assert (await handler.check(CheckNothing("n"))).status == Status(Code.FAILED_PRECONDITION, "no")


async def test_quota_is_refused(build):
    handler = await build("denier")
    assert await handler.quota(Quota("q.quota.default"), QuotaArgs(5)) == QuotaResult(0)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"status": {"code": 99}}, "status.code: must be a code from 0 to 16"),
        ({"validDuration": "-1s"}, "validDuration: a duration must not be negative"),
        ({"validUseCount": -1}, "validUseCount: must be at least 0"),
        ({"status": {"kode": 7}}, 'status.kode: unknown field; did you mean "code"'),
    ],
)
async def test_wrong_parameters_are_named(build, params, message):
    with pytest.raises(AdapterError) as raised:
        await build("denier", params)
    assert message in str(raised.value)


async def test_noop_says_yes(build):
    handler = await build("noop")
    yes = await handler.check(CheckNothing("n"))
    assert (yes.status.code, yes.valid_use_count) == (Code.OK, 10**9)
    assert (await handler.quota(Quota("q"), QuotaArgs(17))).amount == 17
    await handler.report([ReportNothing("r")])
