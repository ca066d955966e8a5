"""Files behind which something is slow, full or missing."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mizzen.proxy.io import log_file
from mizzen.proxy.io.log_file import LogFile

LINE = b"x" * 999 + b"\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, str]]:
    """A pipe's end to read from, and the path of the other one."""
    reader, writer = os.pipe()
    yield reader, f"/proc/self/fd/{writer}"
    os.close(reader)
    os.close(writer)


def read(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += os.read(descriptor, size - len(data))
    return data


def test_lines_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "log"
    for text in (b"a\n", b"b\n"):
        file = LogFile(str(path))
        file.write(text)
        file.write(text)
        file.close()
    assert path.read_text() == "a\na\nb\nb\n"


def test_a_file_that_is_never_written_is_never_made(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "log"))
    file.close()
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("blocking", [True, False])
def test_a_full_pipe_costs_lines_and_no_time(
    pipe: tuple[int, str], blocking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "MAX_WAITING", 500_000)
    reader, path = pipe
    monkeypatch.setattr(log_file, "_open", lambda path: _dup(int(path.rpartition("/")[2]), blocking))
    file = LogFile(path)
    for _ in range(1000):
        file.write(LINE)
    taken = 1000 - file.lost
    assert 500 <= taken <= 600, "half a megabyte waits, and the pipe has some"
    assert read(reader, taken * 1000) == LINE * taken
    file.close()
    assert file.lost == 1000 - taken


def _dup(descriptor: int, blocking: bool) -> int:
    os.set_blocking(descriptor, blocking)
    return os.dup(descriptor)


def test_the_end_does_not_wait_for_a_full_pipe(
    pipe: tuple[int, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log_file, "CLOSE_SECONDS", 0.01)
    reader, path = pipe
    file = LogFile(path)
    for _ in range(100):
        file.write(LINE)
    file.close()
    assert "takes nothing" in caplog.text
    assert read(reader, 100_000) == LINE * 100  # lets the thread go
    _join(path)


def _join(path: str) -> None:
    for thread in threading.enumerate():
        if thread.name == f"log {path}":
            thread.join(10)


def test_what_cannot_be_opened_is_counted_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = LogFile(str(tmp_path))
    file.write(b"a\nb\n")
    file.write(b"c\n")
    file.close()
    assert file.lost == 3
    assert caplog.text.count("cannot be written") == 1
