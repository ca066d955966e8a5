"""Random HTTP routes as Istio's YAML has them, and requests that have a chance of meeting their conditions."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from simulation.harness.call import Call

Value = dict[str, Any]
Values = st.SearchStrategy[Value]

PATHS = ("/", "/a", "/a/", "/a/b", "/A/b", "/ab", "/b", "/b/a/b", "/a%2fb", "/a//b")
ODD_PATHS = (
    "/b/../a",
    "/a/./b",
    "/a/b/..",
    "/%61/b",
    "/a%2Fb",
    "/a/%2e%2e/b",
    "/../a",
    "/a\\b",
    "/a;x=1",
    "//a",
    "/a/.",
)
"""What a proxy makes canonical before it looks for a route, or must leave alone."""
URI_REGEXES = ("/a/.*", "/a|/b", "/[ab]+", ".*", "/(a|b)(/.*)?", "/?")
WORDS = ("x", "xy", "y", "X")
WORD_REGEXES = ("x", "x.*", "[xy]+", ".")
HEADERS = ("h1", "h2")
QUERIES = ("q1", "q2")
SUBSETS = ("v1", "v2", "v3")


def _one_of(**kinds: st.SearchStrategy[Any]) -> Values:
    """An object with exactly one of these fields."""
    return st.one_of([st.fixed_dictionaries({kind: strategy}) for kind, strategy in kinds.items()])


WORD = _one_of(exact=st.sampled_from(WORDS), prefix=st.sampled_from(WORDS), regex=st.sampled_from(WORD_REGEXES))
PRESENCE: Values = st.just({})
URI = _one_of(exact=st.sampled_from(PATHS), prefix=st.sampled_from(PATHS), regex=st.sampled_from(URI_REGEXES))
METHOD = _one_of(exact=st.sampled_from(["GET", "POST"]), regex=st.just("P.*"))
AUTHORITY = _one_of(exact=st.just("reviews"), prefix=st.just("reviews."), regex=st.just(".*:[0-9]+"))
SCHEME = _one_of(exact=st.sampled_from(["http", "https"]))

MATCH: Values = st.fixed_dictionaries(
    {},
    optional={
        "uri": URI,
        "ignoreUriCase": st.booleans(),
        "method": METHOD,
        "authority": AUTHORITY,
        "scheme": SCHEME,
        "headers": st.dictionaries(st.sampled_from(HEADERS), WORD | PRESENCE, min_size=1, max_size=2),
        "withoutHeaders": st.dictionaries(st.sampled_from(HEADERS), WORD | PRESENCE, min_size=1, max_size=2),
        "queryParams": st.dictionaries(st.sampled_from(QUERIES), WORD | PRESENCE, min_size=1, max_size=2),
    },
).filter(lambda match: match.keys() - {"ignoreUriCase"})

NAMES = st.sampled_from(["h1", "h2", "H3"])
OPERATIONS: Values = st.fixed_dictionaries(
    {},
    optional={
        "set": st.dictionaries(NAMES, st.sampled_from(["s1", "s2"]), min_size=1, max_size=2),
        "add": st.dictionaries(NAMES, st.sampled_from(["a1", "a2"]), min_size=1, max_size=2),
        "remove": st.lists(NAMES, min_size=1, max_size=2, unique=True),
    },
).filter(bool)
EDITS: Values = st.fixed_dictionaries({}, optional={"request": OPERATIONS, "response": OPERATIONS}).filter(bool)

REWRITE: Values = st.one_of(
    st.fixed_dictionaries({"uri": st.sampled_from(["/", "/n", "/n/"])}, optional={"authority": st.just("n.test")}),
    st.just({"authority": "n.test"}),
    st.sampled_from(["/", "/[ab]", "(/a)(/b)?", "b"]).map(
        lambda pattern: {"uriRegexRewrite": {"match": pattern, "rewrite": "/r"}}
    ),
)
REDIRECT: Values = st.fixed_dictionaries(
    {},
    optional={
        "uri": st.sampled_from(["/n", "/n?z=1"]),
        "authority": st.sampled_from(["n.test", "n.test:81"]),
        "scheme": st.sampled_from(["http", "https"]),
        "redirectCode": st.sampled_from([301, 302, 303, 307, 308]),
    },
).filter(lambda redirect: redirect.keys() - {"redirectCode"})


def _destination(subset: str) -> Value:
    return {"destination": {"host": "reviews", "subset": subset}}


@st.composite
def _split(draw: st.DrawFn) -> list[Value]:
    """One destination, or several with weights of which some may be 0."""
    subsets = draw(st.lists(st.sampled_from(SUBSETS), min_size=1, max_size=3, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=len(subsets) - 1, max_size=len(subsets) - 1)))
    weights = [end - start for start, end in zip([0, *cuts], [*cuts, 100], strict=True)]
    return [_destination(subset) | {"weight": weight} for subset, weight in zip(subsets, weights, strict=True)]


FORWARD: Values = st.fixed_dictionaries({"route": _split()}, optional={"rewrite": REWRITE, "headers": EDITS})
REDIRECTING: Values = st.fixed_dictionaries({"redirect": REDIRECT})
RESPONDING: Values = st.fixed_dictionaries(
    {"directResponse": st.sampled_from([{"status": 200, "body": {"string": "direct"}}, {"status": 503}])}
)
ACTION = st.one_of(FORWARD, FORWARD, REDIRECTING, RESPONDING)


@st.composite
def http_routes(draw: st.DrawFn) -> list[Value]:
    """Some routes; each has a name, so that a result tells which one it was."""
    drawn = draw(st.lists(st.tuples(st.lists(MATCH, min_size=1, max_size=2), ACTION), min_size=1, max_size=6))
    return [{"name": f"r{index}", "match": matches, **action} for index, (matches, action) in enumerate(drawn)]


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """A request to reviews:9080."""
    word = st.sampled_from((*WORDS, ""))
    query = draw(st.lists(st.tuples(st.sampled_from(QUERIES), word), max_size=2))
    path = draw(st.sampled_from((*PATHS, *ODD_PATHS))) + ("?" + "&".join(f"{k}={v}" for k, v in query) if query else "")
    headers = draw(st.dictionaries(st.sampled_from(HEADERS), word, max_size=2))
    if draw(st.booleans()):
        headers["x-forwarded-proto"] = "https"
    host = draw(st.sampled_from(["reviews", "reviews:9080", "reviews.default", "Reviews.default.svc.cluster.local:80"]))
    method = draw(st.sampled_from(["GET", "POST", "PUT"]))
    return Call(host, path, method, headers, point=draw(st.integers(0, 99)))
