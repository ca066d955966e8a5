import asyncio
import json
from pathlib import Path

import pytest
from playbook import Cut, World, after, client_sends, connects, endpoint_sends, mesh, play

from mizzen.proxy.engine.plan import AccessLogPlan
from mizzen.proxy.io import reporting

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_an_exchange_becomes_a_line(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "access.log"
    log = AccessLogPlan(str(path), text="%REQ(:PATH)% %RESPONSE_CODE% %BYTES_SENT% %UPSTREAM_HOST% %RESPONSE_FLAGS%\n")
    world = play(
        mesh(http={"access_logs": (log,)}),
        client_sends(GET),
        connects("10.0.0.1:80"),
        endpoint_sends(OK),
        client_sends(GET),
        lambda world, cut: world.client().abort(),
        after(1.0),
        cuts=(Cut(),),
    )
    world.runtime.access_logs.close()
    assert path.read_text() == "/ 200 2 10.0.0.1:80 -\n/ 0 0 10.0.0.1:80 DC\n"


FORGED = b'x" 200 "y'


@pytest.mark.parametrize("json_format", [False, True])
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (FORGED, FORGED.decode()),
        (b"back\\slash\ttab", "back\\slash\ttab"),
        ("\u2028é".encode(), "\u2028é"),
        (b"a\rb", None),
        (b"a\nb", None),
        (b"a\x00b", None),
        (b"a\x1b[2Jb", None),
        (b"a\x7fb", None),
    ],
)
def test_a_header_makes_no_line_of_its_own(tmp_path: Path, json_format: bool, value: bytes, shown: str | None) -> None:
    """What is not shown as it came is refused: no control character reaches a log."""
    path = tmp_path / "log"
    form = {"json": (("agent", "%REQ(USER-AGENT)%"),)} if json_format else {"text": "%REQ(USER-AGENT)%\n"}
    world = World(mesh(http={"access_logs": (AccessLogPlan(str(path), **form),)}))
    world.client().receive(b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: " + value + b"\r\n\r\n")
    if world.connector.attempts:
        world.accept("10.0.0.1:80").receive(OK)
    world.loop.advance(1.0)
    world.runtime.access_logs.close()
    (line,) = path.read_bytes().splitlines()
    text = json.loads(line)["agent"] if json_format else line.decode()
    assert text == shown if shown is not None else text in ("-", None), repr(text)


@pytest.mark.parametrize("value", [b"a\rb", b"a\nb", b"a\x00b", b"a\x1b[2Jb"])
def test_a_response_header_makes_no_line_of_its_own(tmp_path: Path, value: bytes) -> None:
    path = tmp_path / "log"
    log = AccessLogPlan(str(path), text="%RESPONSE_CODE% %RESP(X-A)%\n")
    world = World(mesh(http={"access_logs": (log,)}))
    world.client().receive(GET)
    world.accept("10.0.0.1:80").receive(b"HTTP/1.1 200 OK\r\nX-A: " + value + b"\r\nContent-Length: 0\r\n\r\n")
    world.loop.advance(1.0)
    world.runtime.access_logs.close()
    assert path.read_text() == "502 -\n"


@pytest.mark.parametrize("target", [b"/a\x1b[2Jb", b"/a\x00", b"/a\x7f", b"/a\tb"])
def test_a_path_makes_no_line_of_its_own(tmp_path: Path, target: bytes) -> None:
    path = tmp_path / "log"
    world = World(mesh(http={"access_logs": (AccessLogPlan(str(path), text="%RESPONSE_CODE% %REQ(:PATH)%\n"),)}))
    world.client().receive(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    world.loop.advance(1.0)
    world.runtime.access_logs.close()
    assert path.read_text().rstrip(" -\n") == "400"


def test_a_full_queue_drops_and_counts(tmp_path: Path) -> None:
    plan = AccessLogPlan(str(tmp_path / "log"), text="x\n")
    world = World(mesh())
    log = reporting.AccessLogs(world.loop, "host")  # type: ignore[arg-type]
    (access_log,) = log.bind((plan,))
    for _ in range(reporting.LIMIT + 3):
        access_log.append(object())  # type: ignore[arg-type]
    assert log.dropped == 3
    log.close()
    assert (tmp_path / "log").read_text().count("\n") == reporting.LIMIT


def test_a_log_that_cannot_be_written_costs_no_request(tmp_path: Path) -> None:
    plan = AccessLogPlan(str(tmp_path), text="x\n")
    world = World(mesh(http={"access_logs": (plan,)}))
    world.client().receive(GET)
    world.accept("10.0.0.1:80").receive(OK)
    world.loop.advance(1.0)
    world.runtime.access_logs.close()
    assert world.runtime.access_logs.dropped == 1


async def test_the_timer_is_the_loops_own(tmp_path: Path) -> None:
    logs = reporting.AccessLogs(asyncio.get_running_loop(), "host")
    (log,) = logs.bind((AccessLogPlan(str(tmp_path / "log"), text="x\n"),))
    log.append(object())  # type: ignore[arg-type]
    logs.close()
    assert (tmp_path / "log").read_text() == "x\n"


def test_a_record_that_cannot_be_written_down_costs_only_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        @property
        def request(self) -> object:
            raise RuntimeError("no request to be had")

    path = tmp_path / "log"
    world = World(mesh(http={"access_logs": (AccessLogPlan(str(path), text="%REQ(:METHOD)%\n"),)}))
    (access_log,) = world.runtime.listeners["listener"].chains[None].http.logs
    access_log.append(Broken())  # type: ignore[arg-type]
    access_log.append(Broken())  # type: ignore[arg-type]
    world.client().receive(GET)
    world.accept("10.0.0.1:80").receive(OK)
    world.loop.advance(1.0)
    world.runtime.access_logs.close()
    assert path.read_text() == "GET\n"
    assert world.runtime.access_logs.dropped == 2
    assert [record.message for record in caplog.records] == [
        f"an entry of access log {path} cannot be made; others like it are only counted"
    ]
