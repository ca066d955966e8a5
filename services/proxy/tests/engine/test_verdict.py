"""What Mixer's header operations may do to a head."""

import pytest

from mizzen.proxy.engine.verdict import bind_changes


@pytest.mark.parametrize(
    "name", ["", ":path", "Host", "content-length", "Transfer-Encoding", "Content-Length: 5 ", "Content-Length ", "é"]
)
@pytest.mark.parametrize("kind", ["append", "replace", "remove"])
def test_operations_on_framing_or_nonsense_are_left_out(kind: str, name: str) -> None:
    assert bind_changes(((kind, name, "5"),)) is None


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\0"])
def test_values_of_more_than_one_line_are_left_out(value: str) -> None:
    assert bind_changes((("append", "x-a", value),)) is None
