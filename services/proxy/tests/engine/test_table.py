import pytest
from engine_support import Request, forward, host, prefix_route, table

from mizzen.proxy.engine.match_plan import HeaderMatch, PathMatch, RouteMatch, StringMatch
from mizzen.proxy.engine.plan import Redirect, RoutePlan
from mizzen.proxy.engine.route import REDIRECT
from mizzen.proxy.engine.table import bind_table

HOSTS = table(
    host("exact", "shop.test", "[::1]"),
    host("long-suffix", "*.eu.shop.test"),
    host("short-suffix", "*.shop.test", "*-x.test"),
    host("long-prefix", "shop.eu.*"),
    host("short-prefix", "shop.*"),
    host("rest", "*"),
    ignore_port=True,
)


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        (b"shop.test", "exact"),
        (b"SHOP.test:8080", "exact"),
        (b"[::1]:80", "exact"),
        (b"[::1]", "exact"),
        (b"a.eu.shop.test", "long-suffix"),
        (b"eu.shop.test", "short-suffix"),
        (b".shop.test", "rest"),
        (b"a-x.test", "short-suffix"),
        (b"shop.eu.com", "long-prefix"),
        (b"shop.eu", "short-prefix"),
        (b"shop.", "rest"),
        (b"other", "rest"),
        (b"", "rest"),
    ],
)
def test_virtual_host(authority: bytes, expected: str) -> None:
    route = bind_table(HOSTS).find(Request(authority=authority))
    assert route is not None
    assert route.vhost == expected


def test_port_counts_unless_ignored() -> None:
    bound = bind_table(table(host("with", "shop:80"), host("without", "shop")))
    assert bound.find(Request(authority=b"shop:80")).vhost == "with"  # type: ignore[union-attr]
    assert bound.find(Request(authority=b"shop")).vhost == "without"  # type: ignore[union-attr]
    assert bound.find(Request(authority=b"shop:81")) is None


def test_domain_with_port_never_matches_when_ports_are_ignored() -> None:
    bound = bind_table(table(host("with", "shop:80"), ignore_port=True))
    assert bound.find(Request(authority=b"shop:80")) is None


def test_same_domain_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="domain 'Shop' appears twice"):
        bind_table(table(host("one", "shop"), host("two", "Shop")))


def test_first_route_that_matches_wins_and_query_is_no_part_of_the_path() -> None:
    routes = (
        RoutePlan("exact", RouteMatch(PathMatch("exact", "/a")), forward("up")),
        RoutePlan("regex", RouteMatch(PathMatch("regex", "/a/[0-9]+")), forward("up")),
        RoutePlan("icase", RouteMatch(PathMatch("prefix", "/Upper", ignore_case=True)), forward("up")),
        prefix_route("/a", name="prefix"),
    )
    bound = bind_table(table(host("vh", "*", routes=routes)))

    def name(path: bytes) -> str | None:
        route = bound.find(Request(path))
        return route and route.name

    assert name(b"/a?x=/b") == "exact"
    assert name(b"/a/12?x") == "regex"
    assert name(b"/a/12x") == "prefix"
    assert name(b"/ab") == "prefix"
    assert name(b"/uPPer/x") == "icase"
    assert name(b"/b") is None


def test_required_tls_redirects_plaintext_only() -> None:
    bound = bind_table(table(host("vh", "*", require_tls=True)))
    plain = bound.find(Request(b"/a?b", b"shop:80"))
    assert plain is not None
    assert (plain.kind, plain.status) == (REDIRECT, 301)
    assert plain.redirect_location(Request(b"/a?b", b"shop:80")) == b"https://shop/a?b"
    assert bound.find(Request(scheme=b"https")).name == "vh"  # type: ignore[union-attr]


def test_explain_tells_the_whole_story() -> None:
    jason = HeaderMatch("end-user", StringMatch("exact", "jason"))
    routes = (
        RoutePlan("static", RouteMatch(PathMatch("prefix", "/static")), forward("up"), origin="VirtualService a/b"),
        RoutePlan("jason", RouteMatch(PathMatch("prefix", "/"), (jason,)), forward("v2"), origin="VirtualService a/b"),
        prefix_route(name="rest"),
    )
    bound = bind_table(table(host("reviews", "*.test", routes=routes)))
    explanation = bound.explain(Request(b"/x?y", b"reviews.test"))

    assert [(step.what, step.name, step.matched, step.why) for step in explanation.steps] == [
        ("virtual host", "reviews", True, 'domain "*.test" matches "reviews.test"'),
        ("route", "static", False, 'not: path prefix "/static"'),
        ("route", "jason", False, 'not: header end-user exact "jason"'),
        ("route", "rest", True, 'path prefix "/"'),
    ]
    assert explanation.steps[2].origin == "VirtualService a/b"
    assert explanation.route is bound.find(Request(b"/x?y", b"reviews.test"))
    assert bound.explain(Request(authority=b"other")).steps[0].why == 'no domain matches "other"'


def test_redirect_routes_are_found_like_others() -> None:
    bound = bind_table(table(host("vh", "*", routes=(prefix_route(action=Redirect(code=302, host="new")),))))
    route = bound.find(Request(b"/a"))
    assert route is not None
    assert (route.kind, route.status, route.redirect_location(Request(b"/a"))) == (REDIRECT, 302, b"http://new/a")
