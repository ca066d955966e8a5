"""The compiled table, its explanation and the slow reference choose the same route, for any plan and request."""

from engine_support import Request, forward
from hypothesis import given
from hypothesis import strategies as st
from routing_reference import choose_route

from mizzen.proxy.engine.match_plan import HeaderMatch, PathMatch, QueryMatch, RouteMatch, StringMatch
from mizzen.proxy.engine.plan import RoutePlan, RouteTablePlan, VirtualHostPlan
from mizzen.proxy.engine.table import bind_table

# Few letters, so that conditions often hold, nearly hold, or overlap.
words = st.text("aAb", max_size=3)
regexes = st.sampled_from(["a*", "[ab]+", "a.b", "(a|ab)(b)?", ".*"])
domains = st.sampled_from(
    ["*", "a", "a.b", "a.b:80", "*.b", "*a.b", "*.a.b", "a.*", "a.b.*", "[::1]", "[::1]:80", "b.a.b", "A.A"]
)
authorities = st.sampled_from(
    ["", "a", "A.B", "a.b:80", "a.b:81", "x.b", "x.a.b", ".b", "a.x", "a.", "a.b.b", "[::1]", "[::1]:80", "a.a:1"]
)


def matches(kinds: list[str]) -> st.SearchStrategy[StringMatch]:
    plain = st.builds(StringMatch, st.sampled_from(kinds), words, st.booleans())
    return plain | st.builds(StringMatch, st.just("regex"), regexes)


paths = st.builds(PathMatch, st.sampled_from(["exact", "prefix"]), words.map("/".__add__), st.booleans()) | st.builds(
    PathMatch, st.just("regex"), regexes.map("/".__add__), st.booleans()
)
values = matches(["exact", "prefix", "suffix", "contains"])
header_names = st.sampled_from(["x-a", "x-b", ":method", ":path"])
headers = st.builds(HeaderMatch, header_names, st.none() | values, st.booleans(), st.booleans())
queries = st.builds(QueryMatch, words, st.none() | values)
route_matches = st.builds(
    RouteMatch, paths, st.lists(headers, max_size=2).map(tuple), st.lists(queries, max_size=2).map(tuple)
)


@st.composite
def tables(draw: st.DrawFn) -> RouteTablePlan:
    chosen = draw(st.lists(domains, unique_by=str.lower, max_size=6))
    hosts = []
    for number, domain in enumerate(chosen):
        routes = tuple(
            RoutePlan(f"{number}.{at}", match, forward("up"))
            for at, match in enumerate(draw(st.lists(route_matches, max_size=4)))
        )
        hosts.append(VirtualHostPlan(f"vh{number}", (domain,), routes, require_tls=draw(st.integers(0, 9)) == 0))
    return RouteTablePlan("table", tuple(hosts), ignore_port=draw(st.booleans()))


requests = st.builds(
    dict,
    st.fixed_dictionaries(
        {
            ":authority": authorities,
            ":path": st.builds("/{}{}".format, words, st.just("") | st.text("aAb=&", max_size=6).map("?".__add__)),
            ":method": st.sampled_from(["a", "b"]),
            ":scheme": st.sampled_from(["http", "https"]),
        },
        optional={"x-a": words, "x-b": words},
    ),
)


@given(tables(), st.lists(requests, min_size=1, max_size=5))
def test_find_explain_and_reference_agree(plan: RouteTablePlan, calls: list[dict[str, str]]) -> None:
    compiled = bind_table(plan)
    for call in calls:
        request = Request(
            call[":path"].encode(),
            call[":authority"].encode(),
            call[":method"].encode(),
            call[":scheme"].encode(),
            tuple((name.encode(), value.encode()) for name, value in call.items() if not name.startswith(":")),
        )
        outcome, expected = choose_route(plan, call)
        found = compiled.find(request)
        explanation = compiled.explain(request)

        assert explanation.route is found
        if outcome == "none":
            assert found is None
            assert not explanation.steps[-1].matched or explanation.steps[-1].what == "virtual host"
        elif outcome == "tls":
            assert found is not None
            assert found.status == 301
        else:
            assert found is not None
            assert expected is not None
            assert found.name == expected.name
            assert explanation.steps[-1].matched
            assert explanation.steps[-1].name == expected.name
