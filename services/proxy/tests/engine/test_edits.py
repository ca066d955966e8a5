import pytest
from engine_support import Exchange, Request
from hypothesis import given
from hypothesis import strategies as st

from mizzen.proxy.codec.headers import read_head
from mizzen.proxy.engine.edits import ConstantEdits, FormattedEdits, bind_edits
from mizzen.proxy.engine.plan import HeaderEdits


def applied(lines: list[bytes], *levels: HeaderEdits) -> list[bytes]:
    head = read_head(lines)
    edits = bind_edits(*levels)
    assert edits is not None
    edits.apply(head, Exchange(Request(b"/p", headers=((b"X-User", b"jason"), (b"x-raw", b"\xff")))))
    return list(head.values())


def test_no_edits_is_none() -> None:
    assert bind_edits(HeaderEdits(), HeaderEdits()) is None


def test_remove_set_add_keep_case_and_order() -> None:
    head = [b"Host: h", b"X-A: 1", b"x-b: 2", b"X-C: 3"]
    edits = HeaderEdits(remove=("x-a",), set=(("X-B", "new"),), add=(("x-C", "more"),))
    assert applied(head, edits) == [b"Host: h", b"X-B: new", b"X-C: 3\r\nx-C: more"]


def test_levels_run_from_specific_to_general() -> None:
    route = HeaderEdits(set=(("X-All", "route"),), add=(("X-Gone", "r"), ("X-Route", "r")))
    vhost = HeaderEdits(set=(("x-all", "vhost"),))
    table = HeaderEdits(remove=("x-gone",), set=(("X-All", "table"),))
    head = applied([b"x-all: client", b"X-Gone: c"], route, vhost, table)
    assert head == [b"X-All: table", b"X-Route: r"]


def test_formatted_values() -> None:
    edits = HeaderEdits(
        set=(("X-From", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %PROTOCOL%"), ("X-Keep", "%REQ(nope)%")),
        add=(("X-Who", "%REQ(x-user)%"), ("X-Part", "a%REQ(nope)%b"), ("X-Pct", "100%%"), ("X-Raw", "%REQ(x-raw)%")),
    )
    assert applied([b"X-Keep: k"], edits) == [
        b"X-Keep: k",
        b"X-From: 127.0.0.1 HTTP/1.1",
        b"X-Who: jason",
        b"X-Part: ab",
        b"X-Pct: 100%",
        b"X-Raw: \xff",
    ]


def test_empty_value_changes_nothing() -> None:
    assert applied([b"X-E: e"], HeaderEdits(set=(("x-e", ""),), add=(("x-f", ""),))) == [b"X-E: e"]


@pytest.mark.parametrize("name", [":path", "host", "Host", "", "Content-Length", "transfer-encoding", "Connection"])
def test_names_that_may_not_be_edited(name: str) -> None:
    with pytest.raises(ValueError, match="may not be edited"):
        bind_edits(HeaderEdits(set=((name, "v"),)))


def test_bad_format_is_refused() -> None:
    with pytest.raises(ValueError, match="%NOPE%"):
        bind_edits(HeaderEdits(set=(("x", "%NOPE%"),)))


header_names = st.sampled_from(["x-a", "X-A", "x-b", "X-C"])
pairs = st.lists(st.tuples(header_names, st.sampled_from(["", "1", "2", "%%"])), max_size=3).map(tuple)
level_plans = st.builds(HeaderEdits, st.lists(header_names, max_size=2).map(tuple), pairs, pairs)


@given(
    st.lists(level_plans, min_size=1, max_size=4),
    st.lists(header_names.map(lambda name: f"{name}: client".encode()), max_size=5),
)
def test_merged_constants_equal_level_by_level(levels: list[HeaderEdits], lines: list[bytes]) -> None:
    merged = bind_edits(*levels)
    formatted = bind_edits(*levels, HeaderEdits(add=(("never", "%REQ(nope)%"),)))
    assert merged is None or isinstance(merged, ConstantEdits)
    assert isinstance(formatted, FormattedEdits)
    one, other = read_head(lines), read_head(lines)
    if merged is not None:
        merged.apply(one, Exchange())
    formatted.apply(other, Exchange())
    assert one == other
