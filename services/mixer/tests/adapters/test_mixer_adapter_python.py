"""Python adapters: what a file may offer, how it is called, reloaded, and kept within its budgets."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest

from mizzen.mixer.adapter import AdapterError, CheckResult, QuotaArgs, QuotaResult, Use
from mizzen.mixer.adapters import metrics
from mizzen.mixer.adapters.python.budget import ErrorBudget
from mizzen.mixer.status import Code, Status
from mizzen.mixer.templates import CheckNothing, Kubernetes, ListEntry, LogEntry, Metric, Quota

HEAD = """\
from collections.abc import Sequence
from mizzen.mixer.adapter import CheckResult, QuotaArgs, QuotaResult
from mizzen.mixer.adapters.python import adapter
from mizzen.mixer.status import OK, Code, Status
from mizzen.mixer.templates import *
"""


@pytest.fixture
def file(tmp_path: Path):
    """`file(code)` writes the adapter's file and gives its path."""
    path = tmp_path / "mine.py"
    writes = 0

    def write(code: str) -> str:
        nonlocal writes
        writes += 1
        path.write_text(HEAD + dedent(code) + "\n" * writes)  # never of the size it had
        return str(path)

    return write


async def test_a_function_that_checks(build, file):
    path = file("""
        @adapter(template="listentry")
        def check(entry: ListEntry) -> Status:
            return OK if entry.value == "v1" else Status(Code.PERMISSION_DENIED, f"{entry.value}?")
    """)
    handler = await build("python", {"file": path})
    assert await handler.check(ListEntry("l", "v1")) == CheckResult()
    assert (await handler.check(ListEntry("l", "v2"))).status == Status(Code.PERMISSION_DENIED, "v2?")


async def test_a_coroutine_with_a_full_result(build, file):
    path = file("""
        from datetime import timedelta
        @adapter(template="checknothing")
        async def check(nothing):
            return CheckResult(OK, timedelta(seconds=3), 7)
    """)
    handler = await build("python", {"file": path})
    assert await handler.check(CheckNothing("c")) == CheckResult(Status(Code.OK), timedelta(seconds=3), 7)


async def test_a_check_with_an_output(build, file):
    path = file("""
        @adapter(template="listentry")
        def check(entry: ListEntry) -> CheckResult:
            return CheckResult(output={"1": {"tier": "gold"}, "2": {"tier": 1}, "3": "tier"}[entry.value])
    """)
    handler = await build("python", {"file": path})
    assert (await handler.check(ListEntry("l", "1"))).output == {"tier": "gold"}
    for value in ("2", "3"):
        with pytest.raises(AdapterError, match=r"mine\.py: returned the output .*, and not texts by their names"):
            await handler.check(ListEntry("l", value))


async def test_a_class_gets_its_parameters_and_is_closed(build, file, tmp_path):
    path = file("""
        @adapter(template="logentry")
        class Audit:
            def __init__(self, params: dict) -> None:
                self.file = open(params["path"], "a")

            def report(self, entries: Sequence[LogEntry]) -> None:
                for entry in entries:
                    print(entry.name, entry.variables["user"], file=self.file)

            def close(self) -> None:
                self.file.write("end\\n")
                self.file.close()
    """)
    out = tmp_path / "audit.log"
    handler = await build("python", {"file": path, "params": {"path": str(out)}})
    await handler.report([LogEntry("a", {"user": "jason"}), LogEntry("a", {"user": "anna"})])
    await handler.close()
    assert out.read_text() == "a jason\na anna\nend\n"


async def test_one_file_for_several_templates(build, file):
    path = file("""
        from dataclasses import dataclass

        @dataclass
        class Seen:
            metrics: int = 0

        seen = Seen()

        @adapter(template="metric")
        async def count(metrics: Sequence[Metric]) -> None:
            seen.metrics += len(metrics)

        @adapter(template="quota")
        def half(quota: Quota, args: QuotaArgs) -> QuotaResult:
            return QuotaResult(args.amount // 2)

        @adapter(template="kubernetes")
        def pods(wanted: Kubernetes) -> dict:
            return {"source_pod_name": wanted.source_uid}

        @adapter(template="checknothing")
        def none_seen(nothing: CheckNothing) -> Status:
            return Status(Code.OK, str(seen.metrics))
    """)
    handler = await build("python", {"file": path})
    assert await handler.quota(Quota("q"), QuotaArgs(5)) == QuotaResult(2)
    assert await handler.generate(Kubernetes("k", "uid")) == {"source_pod_name": "uid"}
    await handler.report([Metric("m"), Metric("m")])
    while (await handler.check(CheckNothing("c"))).status.message != "2":
        continue
    with pytest.raises(AdapterError, match="offers nothing for logentry"):
        await handler.report([LogEntry("l")])


ONE = """
    @adapter(template="checknothing")
    def check(nothing):
        return Status(Code.OK, {text!r})
"""


async def test_a_changed_file_is_loaded_again(build, file):
    handler = await build("python", {"file": file(ONE.format(text="one"))})
    file(ONE.format(text="two"))
    await handler.follow()
    assert (await handler.check(CheckNothing("c"))).status.message == "two"


async def test_a_changed_file_is_noticed(build, file, monkeypatch):
    monkeypatch.setattr("mizzen.mixer.adapters.python.handler.POLL_SECONDS", 0.001)
    handler = await build("python", {"file": file(ONE.format(text="one"))})
    file(ONE.format(text="two"))
    while (await handler.check(CheckNothing("c"))).status.message != "two":
        continue


@pytest.mark.parametrize(
    "bad",
    [
        "def",
        "raise KeyError('x')",
        "x = 1",
        "@adapter(template='metric')\ndef m(metrics): ...",
        "import sys; sys.exit(3)",
    ],
)
async def test_a_bad_change_leaves_the_last_good_file_at_work(build, file, caplog, request, bad):
    use = Use("c.checknothing.default", "checknothing", {})
    handler = await build("python", {"file": file(ONE.format(text="good"))}, uses=(use,))
    path = file(bad)
    await handler.follow()
    assert (await handler.check(CheckNothing("c"))).status.message == "good"
    assert "the file changed and is not used" in caplog.text
    assert path in caplog.text
    name = f"{request.node.name}.python.istio-system"
    assert metrics.RELOADS.labels(name, "error")._value.get() == 1
    Path(path).unlink()  # noqa: ASYNC240 - a test
    await handler.follow()
    assert (await handler.check(CheckNothing("c"))).status.message == "good"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = (", "mine.py:6: '(' was never closed"),
        ("\n1 / 0", "mine.py:7: ZeroDivisionError: division by zero"),
        ("x = 1", "nothing in it is marked with @adapter"),
        ("@adapter(template='metrics')\ndef f(m): ...", "template must be one of apikey"),
        ("@adapter(template='metric')\nclass A: ...", "A is offered for metric and needs a method report"),
        ("@adapter(template='metric')\ndef a(m: Metric): ...", "a must take Sequence[Metric]"),
        ("@adapter(template='metric')\ndef a(m: Sequence[Edge]): ...", "a takes Edge, but is offered for metric"),
        ("@adapter(template='apikey')\ndef a(m: Sequence[ApiKey]): ...", "a must take ApiKey"),
        ("@adapter(template='apikey')\ndef a(): ...", "a must take 1 arguments for apikey"),
        ("@adapter(template='quota')\ndef a(q): ...", "a must take 2 arguments for quota"),
        ("@adapter(template='apikey')\ndef a(k): ...\n@adapter(template='apikey')\ndef b(k): ...",
         "a and b are both for apikey"),
        ("@adapter(template='apikey')\nclass A:\n  def __init__(self, params): params['no']\n  def check(self, k): ...",
         "mine.py:8: KeyError: 'no'"),
    ],
)  # fmt: skip
async def test_a_file_that_does_not_hold_up(build, file, code, message):
    with pytest.raises(AdapterError) as raised:
        await build("python", {"file": file(code)})
    assert message in str(raised.value)


async def test_rules_need_more_than_the_file_offers(build, file):
    use = Use("m.metric.default", "metric", {})
    with pytest.raises(AdapterError, match="rules send it metric, and it only offers checknothing"):
        await build("python", {"file": file(ONE.format(text="x"))}, uses=(use,))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "file: is required"),
        ({"file": "/no/such.py"}, "file: cannot read /no/such.py: No such file"),
        ({"file": "x", "maxErrors": 0}, "maxErrors: must be at least 1"),
    ],
)
async def test_wrong_parameters_are_named(build, params, message):
    with pytest.raises(AdapterError) as raised:
        await build("python", params)
    assert message in str(raised.value)


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 5", "returned int, and not CheckResult"),
        ("raise LookupError('nobody')", "mine.py:9: LookupError: nobody"),
        ("raise TimeoutError('their own')", "mine.py:9: TimeoutError: their own"),
        ("raise SystemExit(1)", "SystemExit: 1"),
    ],
)
async def test_what_goes_wrong_in_a_call_is_told(build, file, kind, body, message):
    path = file(f"""
        @adapter(template="checknothing")
        {kind} check(nothing):
            {body}
    """)
    handler = await build("python", {"file": path})
    with pytest.raises(AdapterError) as raised:
        await handler.check(CheckNothing("c"))
    assert message in str(raised.value)


async def test_too_slow(build, file):
    path = file("""
        import asyncio, threading
        go = threading.Event()

        @adapter(template="checknothing")
        async def check(nothing):
            await asyncio.Event().wait()

        @adapter(template="listentry")
        def wait(entry):
            go.wait(20)
            return OK

        @adapter(template="apikey")
        def release(key):
            go.set()
            return OK
    """)
    handler = await build("python", {"file": path, "timeout": "5ms", "threads": 1})
    with pytest.raises(AdapterError, match=r"check took longer than 0\.005s"):
        await handler.check(CheckNothing("c"))
    before = threading.active_count()
    for _ in range(3):  # all wait for the one thread
        with pytest.raises(AdapterError, match=r"wait took longer than 0\.005s"):
            await handler.check(ListEntry("l", "x"))
    assert threading.active_count() == before + 1
    handler._source.offers["apikey"].call(None)


async def test_after_many_errors_it_rests(build, file):
    path = file("""
        calls = 0
        @adapter(template="checknothing")
        def check(nothing):
            global calls
            calls += 1
            raise ValueError(calls)
    """)
    handler = await build("python", {"file": path, "maxErrors": 2})
    messages = []
    for _ in range(4):
        with pytest.raises(AdapterError) as raised:
            await handler.check(CheckNothing("c"))
        messages.append(str(raised.value))
    assert [message.rpartition(":")[2] for message in messages] == [" 1", " 2", " 2", " 2"]
    assert "resting for 30s after 2 errors" in messages[3]


def test_one_call_ends_or_prolongs_the_rest():
    budget = ErrorBudget(most=2, rest=30)
    budget.failed("a", 100)
    budget.check(100)
    budget.failed("b", 100)
    with pytest.raises(AdapterError, match="resting for 29s"):
        budget.check(101)
    budget.check(130)
    budget.failed("c", 130)
    with pytest.raises(AdapterError, match="c"):
        budget.check(159)
    budget.check(160)
    budget.succeeded()
    budget.failed("d", 161)
    budget.check(161)
