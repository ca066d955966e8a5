from collections import Counter

import pytest
from engine_support import Exchange, Request, host, prefix_route, table
from hypothesis import given
from hypothesis import strategies as st

from mizzen.proxy.engine.match_plan import PathMatch, RouteMatch
from mizzen.proxy.engine.plan import Action, Forward, HeaderEdits, Redirect, Respond, RoutePlan, WeightedCluster
from mizzen.proxy.engine.route import FORWARD, RESPOND, Route, bind_route


def bind(action: Action, path: PathMatch | None = None) -> Route:
    vhost = host("vh", "*", include_attempt_count=True)
    return bind_route(
        RoutePlan("r", RouteMatch(path or PathMatch("prefix", "/")), action, origin="VirtualService a/b"),
        vhost,
        table(vhost),
    )


def test_forward_carries_what_the_plan_says() -> None:
    route = bind(Forward((WeightedCluster("up"),), timeout=3.0, host_rewrite="other", retry_connect_failures=2))
    assert (route.kind, route.timeout, route.retry_connect_failures, route.origin) == (
        FORWARD, 3.0, 2, "VirtualService a/b",
    )  # fmt: skip
    assert route.include_attempt_count
    assert route.rewrite_path is None
    target = route.target(0.5)
    assert (target.cluster, target.host_rewrite) == ("up", b"other")
    assert target.request_edits is None


def test_weights_are_exact_shares() -> None:
    route = bind(Forward(tuple(WeightedCluster(name, weight) for name, weight in (("a", 80), ("z", 0), ("b", 20)))))
    counts = Counter(route.target(point / 1000).cluster for point in range(1000))
    assert counts == {"a": 800, "b": 200}


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=6), st.floats(0, 1, exclude_max=True))
def test_every_point_has_the_target_whose_stretch_it_lies_in(weights: list[int], point: float) -> None:
    route = bind(Forward(tuple(WeightedCluster(str(at), weight) for at, weight in enumerate(weights))))
    chosen = int(route.target(point).cluster)
    ticket = min(int(point * sum(weights)), sum(weights) - 1)
    assert sum(weights[:chosen]) <= ticket < sum(weights[: chosen + 1])


def test_destination_host_rewrite_beats_the_routes() -> None:
    route = bind(Forward((WeightedCluster("a", 1, host_rewrite="own"), WeightedCluster("b", 1)), host_rewrite="all"))
    assert [target.host_rewrite for target in route.targets] == [b"own", b"all"]


@pytest.mark.parametrize("clusters", [(), (WeightedCluster("a", 0), WeightedCluster("b", 0))])
def test_routes_to_nowhere_are_refused(clusters: tuple[WeightedCluster, ...]) -> None:
    with pytest.raises(ValueError, match="route 'r'"):
        bind(Forward(clusters))


@pytest.mark.parametrize(
    ("match", "rewrite", "path", "expected"),
    [
        (PathMatch("prefix", "/pre"), "/", b"/prefix/x?y", b"/fix/x?y"),
        (PathMatch("prefix", "/PRE", ignore_case=True), "/new", b"/pre?y", b"/new?y"),
        (PathMatch("exact", "/ex"), "/new", b"/ex?y=/ex", b"/new?y=/ex"),
        (PathMatch("regex", "/[a-z]+"), "/new", b"/abc", b"/new"),
        (PathMatch("prefix", "/pre"), "new", b"/pre", b"/new"),
    ],
)
def test_prefix_rewrite(match: PathMatch, rewrite: str, path: bytes, expected: bytes) -> None:
    route = bind(Forward((WeightedCluster("up"),), prefix_rewrite=rewrite), match)
    assert route.rewrite_path is not None
    assert route.rewrite_path(path) == expected


@pytest.mark.parametrize(
    ("pattern", "substitution", "path", "expected"),
    [
        ("/(b+)", r"/<\1\0>", b"/re/bbb/bb?q=/bb", b"/re/<bbb/bbb>/<bb/bb>?q=/bb"),
        ("^/service/([^/]+)(/.*)$", r"\2/instance/\1", b"/service/foo/v1/api", b"/v1/api/instance/foo"),
        ("x", r"a\\b", b"/x", b"/a\\b"),
        ("x", "g<1>", b"/x", b"/g<1>"),
        ("nothing", "y", b"/x", b"/x"),
        ("^/x", "", b"/x?q", b"/?q"),
        ("^/", "", b"/x", b"/x"),
    ],
)
def test_regex_rewrite(pattern: str, substitution: str, path: bytes, expected: bytes) -> None:
    route = bind(Forward((WeightedCluster("up"),), regex_rewrite=(pattern, substitution)))
    assert route.rewrite_path is not None
    assert route.rewrite_path(path) == expected


@pytest.mark.parametrize("substitution", [r"\2", r"\x", "end\\"])
def test_substitution_that_does_not_fit_is_refused(substitution: str) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        bind(Forward((WeightedCluster("up"),), regex_rewrite=("(a)", substitution)))


REDIRECTS = [
    # (redirect, path match, authority, path, expected), as Envoy 1.40 answers
    (Redirect(https=True), "/", b"r.test", b"/a?b=c", b"https://r.test/a?b=c"),
    (Redirect(https=True), "/", b"r.test:80", b"/a", b"https://r.test/a"),
    (Redirect(https=True), "/", b"r.test:8080", b"/a", b"https://r.test:8080/a"),
    (Redirect(https=True), "/", b"[::1]:80", b"/a", b"https://[::1]/a"),
    (Redirect(https=True), "/", b"[::1]", b"/a", b"https://[::1]/a"),
    (Redirect(host="h.example"), "/", b"r.test:8080", b"/a?b", b"http://h.example/a?b"),
    (Redirect(port=81), "/", b"r.test:80", b"/a", b"http://r.test:81/a"),
    (Redirect(path="/new?x=1", strip_query=True), "/", b"r.test", b"/a?b", b"http://r.test/new?x=1"),
    (Redirect(path="/new"), "/", b"r.test", b"/a?b=c", b"http://r.test/new?b=c"),
    (Redirect(path="noslash"), "/", b"r.test", b"/a?x", b"http://r.test/noslash?x"),
    (Redirect(prefix="/pp"), "/prefix", b"r.test", b"/prefix/z?b", b"http://r.test/pp/z?b"),
    (Redirect(strip_query=True, https=True, port=8443), "/", b"r.test:8080", b"/a?q", b"https://r.test:8443/a"),
    (Redirect(scheme="ftp"), "/", b"r.test:80", b"/a", b"ftp://r.test/a"),
]


@pytest.mark.parametrize(("action", "prefix", "authority", "path", "expected"), REDIRECTS)
def test_redirect_location(action: Redirect, prefix: str, authority: bytes, path: bytes, expected: bytes) -> None:
    route = bind(action, PathMatch("prefix", prefix))
    assert route.redirect_location(Request(path, authority)) == expected


def test_exact_match_redirect_replaces_the_whole_path() -> None:
    route = bind(Redirect(prefix="/pp"), PathMatch("exact", "/exact"))
    assert route.redirect_location(Request(b"/exact?b=c", b"r.test")) == b"http://r.test/pp?b=c"


def test_direct_response_with_edits_of_all_levels() -> None:
    vhost = host("vh", "*", response_edits=HeaderEdits(add=(("X-Host", "h"),)))
    plan = RoutePlan(
        "r",
        prefix_route().match,
        Respond(418, b"tea"),
        response_edits=HeaderEdits(set=(("X-Route", "r"),)),
    )
    route = bind_route(plan, vhost, table(vhost, response_edits=HeaderEdits(remove=("x-old",))))
    assert (route.kind, route.status, route.body) == (RESPOND, 418, b"tea")
    head = {b"x-old": b"X-Old: 1"}
    assert route.response_edits is not None
    route.response_edits.apply(head, Exchange())
    assert head == {b"x-route": b"X-Route: r", b"x-host": b"X-Host: h"}
