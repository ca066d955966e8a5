import asyncio
from pathlib import Path

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
