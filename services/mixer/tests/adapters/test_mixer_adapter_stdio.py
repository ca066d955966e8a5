"""stdio: lines as Istio's adapter writes them, streams, files, rotation."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest

from mizzen.mixer.adapter import AdapterError
from mizzen.mixer.adapters.stdio.sink import RotatedFile
from mizzen.mixer.templates import LogEntry, Metric

TIME = datetime(2018, 7, 31, 12, 0, 0, 5, tzinfo=UTC)


def entry(severity="Info", **variables):
    return LogEntry("accesslog.logentry.istio-system", variables, TIME, severity)


async def write(build, capfd, params, *instances):
    handler = await build("stdio", params)
    await handler.report(instances)
    await handler.close()
    return capfd.readouterr()


async def test_json_as_istio_writes_it(build, capfd):
    variables = {
        "user": "unknown",
        "latency": timedelta(milliseconds=12.5),
        "bytes": 17,
        "ratio": 0.5,
        "endless": float("inf"),
        "mtls": True,
        "sourceIp": ip_address("10.0.0.1"),
        "labels": {"app": "reviews"},
        "at": TIME,
    }
    out = (await write(build, capfd, {"outputAsJson": True}, entry(**variables))).out
    assert out == (
        '{"level":"info","time":"2018-07-31T12:00:00.000005Z","instance":"accesslog.logentry.istio-system",'
        '"at":"2018-07-31T12:00:00.000005Z","bytes":17,"endless":"+Inf","labels":{"app":"reviews"},'
        '"latency":"12.5ms","mtls":true,"ratio":0.5,"sourceIp":"10.0.0.1","user":"unknown"}\n'
    )


async def test_text(build, capfd):
    captured = await write(build, capfd, {"output_as_json": False, "logStream": "STDERR"}, entry(b=1, a="x"))
    assert captured.err.endswith(
        '2018-07-31T12:00:00.000005Z\tinfo\taccesslog.logentry.istio-system\t{"a": "x", "b": 1}\n'
    )


async def test_a_metric_has_its_value_first(build, capfd):
    metric = Metric("requestcount.metric.istio-system", 3, {"source": "a"})
    line = json.loads((await write(build, capfd, {"metricLevel": "ERROR"}, metric)).out)
    assert list(line) == ["level", "time", "instance", "value", "source"]
    assert (line["level"], line["value"]) == ("error", 3)


async def test_a_line_stays_one_line(build, capfd):
    out = (await write(build, capfd, {}, entry(path='/a\n{"level":"error"}'))).out
    assert out.count("\n") == 1


@pytest.mark.parametrize(
    ("severity", "level"),
    [("info", "info"), ("Info", "info"), ("WARN", "warn"), ("warning", "warn"), ("err", "error"), ("FATAL", "error")],
)
async def test_severities(build, capfd, severity, level):
    assert json.loads((await write(build, capfd, {}, entry(severity))).out)["level"] == level


async def test_only_the_level_asked_for(build, capfd):
    params = {"severityLevels": {"quiet": 0, "loud": "ERROR"}, "outputLevel": "WARNING"}
    out = (await write(build, capfd, params, entry("quiet"), entry("loud"))).out
    assert [json.loads(line)["level"] for line in out.splitlines()] == ["error"]


async def test_a_file_is_appended_to(build, tmp_path, capfd):
    path = tmp_path / "access.log"
    path.write_text("before\n")
    await write(build, capfd, {"logStream": "FILE", "outputPath": str(path)}, entry(a=1))
    first, second = path.read_text().splitlines()
    assert (first, json.loads(second)["a"]) == ("before", 1)


def test_a_file_rotates_by_size_count_and_age(tmp_path):
    path = tmp_path / "access[1].log"
    sink = RotatedFile(path, max_bytes=10, max_age=timedelta(days=30), max_files=2)
    for number in range(5):
        sink.write(b"line %d\n" % number)
    sink.close()
    aside = sorted(tmp_path.glob("access*-*.log"))
    assert path.read_text() == "line 4\n"
    assert [file.read_text() for file in aside] == ["line 2\n", "line 3\n"]

    old = (datetime.now(UTC) - timedelta(days=31)).timestamp()
    os.utime(aside[1], (old, old))
    sink = RotatedFile(path, max_bytes=10, max_age=timedelta(days=30), max_files=0)
    sink.write(b"line 5\n")
    sink.close()
    assert [file.read_text() for file in sorted(tmp_path.glob("access*-*.log"))] == ["line 2\n", "line 4\n"]


async def test_a_rotated_file_is_opened_with_its_folder(build, tmp_path, capfd):
    path = tmp_path / "logs" / "access.log"
    params = {"logStream": "ROTATED_FILE", "outputPath": str(path), "maxMegabytesBeforeRotation": 1}
    await write(build, capfd, params, entry(a=1))
    assert json.loads(path.read_text())["a"] == 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"logStream": "FILE"}, "outputPath is required when logStream is FILE"),
        ({"outputPath": "/x"}, "outputPath needs logStream FILE or ROTATED_FILE"),
        ({"logStream": "FILE", "outputPath": "/no/such/folder/x"}, "outputPath: cannot write /no/such/folder/x"),
        ({"severityLevels": {"a": "LOUD"}}, "severityLevels.a: must be one of INFO, WARNING, ERROR"),
    ],
)
async def test_wrong_parameters_are_named(build, params, message):
    with pytest.raises(AdapterError) as raised:
        await build("stdio", params)
    assert message in str(raised.value)
