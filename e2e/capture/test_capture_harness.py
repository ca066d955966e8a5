"""What the tests themselves leave: nothing, however they end."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from capture.harness.hosts import Network, network
from capture.harness.programs import running


def namespaces() -> str:
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, timeout=10, check=True).stdout


def test_a_failing_test_leaves_no_namespace():
    with contextlib.suppress(ZeroDivisionError), network() as made:
        made.add("one")
        assert f"mz-{made.suffix}-one" in namespaces()
        raise ZeroDivisionError
    assert made.suffix not in namespaces()


def test_a_failing_test_leaves_no_program(hosts: Network, tmp_path: Path):
    host = hosts.add("one")
    with contextlib.suppress(ZeroDivisionError), running(host, ["sleep", "600"], tmp_path / "log") as program:
        assert program.poll() is None
        raise ZeroDivisionError
    assert program.poll() is not None
