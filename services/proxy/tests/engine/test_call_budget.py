"""How many Python functions one request enters in the engine: a ceiling that needs no stopwatch."""

import sys
from collections.abc import Callable
from types import FrameType

import pytest
from engine_support import Exchange, Request, endpoints, forward, host, prefix_route, table

from mizzen.proxy.engine.match_plan import HeaderMatch, PathMatch, RouteMatch, StringMatch
from mizzen.proxy.engine.plan import ClusterPlan, Forward, HeaderEdits, RoutePlan, WeightedCluster
from mizzen.proxy.engine.state import ClusterState
from mizzen.proxy.engine.table import bind_table

EDITS = HeaderEdits(remove=("x-internal",), set=(("X-Mesh", "mizzen"),))
SPLIT = Forward((WeightedCluster("v1", 80, EDITS), WeightedCluster("v2", 20)))
ROUTES = (prefix_route("/static"), prefix_route("/api"), prefix_route("/", action=SPLIT))
JASON = HeaderMatch("end-user", StringMatch("exact", "jason"))
BY_HEADER = (RoutePlan("jason", RouteMatch(PathMatch("prefix", "/"), (JASON,)), forward("v2")), *ROUTES)


class PlainRequest(Request):
    """A request whose own header look-up costs one function."""

    def header(self, name: bytes, /) -> bytes | None:
        return None


def entries(action: Callable[[], object]) -> list[str]:
    """Names of our functions entered while `action` runs; the collector may call others at any time."""
    names: list[str] = []

    def count(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and "mizzen" in frame.f_code.co_filename:
            names.append(frame.f_code.co_qualname)

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return names


@pytest.mark.parametrize(
    ("routes", "ceiling"),
    [
        (ROUTES, 4),  # find, target, edits, pick
        (BY_HEADER, 7),  # and the condition, its reader, the request's header()
    ],
)
def test_a_request_enters_few_functions(routes: tuple[RoutePlan, ...], ceiling: int) -> None:
    bound = bind_table(table(*(host(f"h{at}", f"h{at}.test", routes=routes) for at in range(10))))
    plan = ClusterPlan("v1", "static")
    cluster = ClusterState(plan, lambda: 0.0)
    cluster.adopt(plan, endpoints("10.0.0.1", "10.0.0.2"))
    request, record = PlainRequest(b"/reviews?a=1", b"h3.test"), Exchange()
    head = {b"host": b"Host: h3.test", b"x-internal": b"X-Internal: 1"}

    def decide() -> None:
        route = bound.find(request)
        assert route is not None
        target = route.target(0.5)
        assert target.request_edits is not None
        target.request_edits.apply(head, record)
        cluster.pick(float)

    names = entries(decide)
    assert len(names) <= ceiling, names
    assert head == {b"host": b"Host: h3.test", b"x-mesh": b"X-Mesh: mizzen"}
