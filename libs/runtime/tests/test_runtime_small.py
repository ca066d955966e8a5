"""Back-off, atomic files, addresses."""

import errno
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizzen.runtime.address import Address, explain_bind_error, unused_port
from mizzen.runtime.backoff import Backoff
from mizzen.runtime.files import write_atomic


def test_backoff_doubles_to_its_maximum_and_starts_again() -> None:
    backoff = Backoff(base=1, maximum=5)
    assert [backoff.next(0.999999999) for _ in range(5)] == pytest.approx([1, 2, 4, 5, 5])
    backoff.reset()
    assert backoff.next(0) == 0.5


@given(st.lists(st.floats(0, 1, exclude_max=True), max_size=50))
def test_backoff_is_bounded(points: list[float]) -> None:
    backoff = Backoff(base=0.5, maximum=30)
    assert all(0.25 <= backoff.next(point) <= 30 for point in points)


def test_atomic_write_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.yaml"
    write_atomic(path, "one")
    first = path.stat().st_ino
    write_atomic(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two"
    assert path.stat().st_ino != first
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["file.yaml"]


def test_failed_write_keeps_the_old_file_and_leaves_nothing_beside(tmp_path: Path) -> None:
    (tmp_path / "taken" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="taken"):
        write_atomic(tmp_path / "taken", "x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", Address("127.0.0.1", 80)),
        ("[::1]:15010", Address("::1", 15010)),
        ("pilot:0", Address("pilot", 0)),
    ],
)
def test_addresses_round_trip(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "80", ":80", "host:", "host:http", "host:65536", "host:-1"])
def test_bad_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="<host>:<port>"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EADDRINUSE, "taken"),
        (errno.EACCES, "root"),
        (errno.EADDRNOTAVAIL, "not an address of this machine"),
        (errno.EIO, "cannot listen on 127.0.0.1:80"),
    ],
)
def test_bind_errors_say_what_to_do(number: int, words: str) -> None:
    message = explain_bind_error(Address("127.0.0.1", 80), OSError(number, os.strerror(number)))
    assert words in message
    assert "127.0.0.1:80" in message


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_unused_port_can_be_bound_and_is_not_one_the_system_assigns(host: str) -> None:
    port = unused_port(host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family), socket.create_server((host, 0), family=family) as assigned:
        assert port < 32768 <= assigned.getsockname()[1]


def test_a_used_port_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    port = unused_port()
    monkeypatch.setattr("random.sample", lambda _population, _count: [port])
    with socket.create_server(("127.0.0.1", port)), pytest.raises(OSError, match="no unused port found"):
        unused_port()
