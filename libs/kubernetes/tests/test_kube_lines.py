import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizzen.kubernetes import lines as module
from mizzen.kubernetes.lines import Lines
from mizzen.kubernetes.objects import Malformed


@given(st.lists(st.binary(max_size=8)), st.integers(1, 9))
def test_lines_do_not_depend_on_how_bytes_arrive(pieces: list[bytes], size: int) -> None:
    data = b"\n".join(pieces)
    expected = [line for line in data.split(b"\n")[:-1] if line.strip()]
    lines = Lines()
    found = [line for start in range(0, len(data), size) for line in lines.feed(data[start : start + size])]
    assert found == expected


def test_a_line_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    lines = Lines()
    assert list(lines.feed(b"12345\n1234567890")) == [b"12345"]
    with pytest.raises(Malformed, match="more than 10 bytes"):
        list(lines.feed(b"1"))
