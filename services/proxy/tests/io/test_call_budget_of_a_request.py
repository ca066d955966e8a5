"""What a request costs in Python function calls: deterministic, so a busy machine cannot hide a regression."""

import sys
from collections import Counter
from types import FrameType

from playbook import World, mesh

GET = b"GET /productpage HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"
OK = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sun, 22 Nov 2026 19:46:02 GMT\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 100\r\nConnection: keep-alive\r\n\r\n" + b"x" * 100
)
CEILING = 40


def test_a_plain_get() -> None:
    world = World(mesh(forward={"timeout": 15.0}))
    client = world.client()
    client.receive(GET)
    endpoint = world.accept("10.0.0.1:80")
    endpoint.receive(OK)
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, argument: object) -> None:
        name = frame.f_code.co_filename
        if event == "call" and "mizzen" in name:
            calls[f"{name.rpartition('/')[2]}:{frame.f_code.co_name}"] += 1

    sys.setprofile(count)
    try:
        client.protocol.data_received(GET)
        endpoint.protocol.data_received(OK)
    finally:
        sys.setprofile(None)
    assert calls.total() <= CEILING, calls.most_common()
    assert calls["upstream_h1.py:_finish"] == 1, "the request went through"
