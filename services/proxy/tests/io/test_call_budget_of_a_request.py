"""What a request costs in Python function calls: deterministic, so a busy machine cannot hide a regression."""

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType

from playbook import World, mesh
from token_support import NOW, plan, token

from mizzen.proxy.engine.control import CheckAnswer, Checks, FromWorker
from mizzen.proxy.engine.mixer_plan import MixerPlan, ServicePlan

GET = b"GET /productpage HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"
OK = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sun, 22 Nov 2026 19:46:02 GMT\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 100\r\nConnection: keep-alive\r\n\r\n" + b"x" * 100
)
CEILING = 40


KNOWN_TOKEN = CEILING + 24
"""With a token that was verified before: where it is, that it is still good, what its claims are."""
CHECKED = CEILING + 8
"""With Mixer and a known result: the key of what it depends on, the look-up, acting on it, the report."""


def test_a_plain_get() -> None:
    calls = calls_of_a_request(World(mesh(forward={"timeout": 15.0})))
    assert calls.total() <= CEILING, calls.most_common()
    assert calls["upstream_h1.py:_finish"] == 1, "the request went through"


def test_a_get_that_was_checked_before() -> None:
    service = ServicePlan(forward=b"f")
    world = World(mesh(http={"mixer": MixerPlan()}, route={"mixer": service}, forward={"timeout": 15.0}))
    posted: list[FromWorker] = []
    world.runtime.mixer.post = posted.append

    def allow() -> None:
        world.loop.run()
        (question,) = posted
        assert isinstance(question, Checks)
        references = frozenset({"destination.service", ("request.headers", "user")})
        answer = CheckAnswer(question.asks[0][0], references=references, valid_for=60.0, uses=100)
        world.runtime.mixer.answered([answer])

    calls = calls_of_a_request(world, allow)
    assert calls.total() <= CHECKED, calls.most_common()
    assert calls["upstream_h1.py:_finish"] == 1, "the request went through"
    assert len(posted) == 1, "nothing was asked"


def test_a_get_with_a_token_that_was_seen_before() -> None:
    world = World(mesh(http={"guards": (plan(),)}, forward={"timeout": 15.0}))
    bearer = f"Authorization: Bearer {token(exp=2 * NOW)}\r\n\r\n".encode()
    calls = calls_of_a_request(world, request=GET.removesuffix(b"\r\n") + bearer)
    assert calls.total() <= KNOWN_TOKEN, calls.most_common()
    assert calls["provider.py:check"] == 1, "the token was looked at"
    assert calls["keys.py:failure"] == 0, "its signature was not"


def calls_of_a_request(world: World, begun: Callable[[], None] = lambda: None, request: bytes = GET) -> Counter[str]:
    """Of the second one on a connection; `begun` is called when the first one has been sent."""
    client = world.client()
    client.receive(request)
    begun()
    endpoint = world.accept("10.0.0.1:80")
    endpoint.receive(OK)
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, argument: object) -> None:
        name = frame.f_code.co_filename
        if event == "call" and "mizzen" in name:
            calls[f"{name.rpartition('/')[2]}:{frame.f_code.co_name}"] += 1

    sys.setprofile(count)
    try:
        client.protocol.data_received(request)
        endpoint.protocol.data_received(OK)
    finally:
        sys.setprofile(None)
    return calls
