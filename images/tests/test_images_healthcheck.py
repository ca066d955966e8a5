from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[1] / "healthcheck.py"


def check(address: str, path: str) -> subprocess.CompletedProcess[str]:
    """As the images run it: isolated, and without site-packages."""
    command = (sys.executable, "-I", "-S", str(CHECK), address, path)
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def check_against(answer: bytes) -> tuple[subprocess.CompletedProcess[str], bytes]:
    """What it makes of the answer, and the request that it sent."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                requests.append(connection.recv(1024))
                connection.sendall(answer)

        server = threading.Thread(target=serve)
        server.start()
        checked = check(f"127.0.0.1:{listener.getsockname()[1]}", "/ready")
        server.join(10)
    return checked, requests[0]


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 0, "HTTP/1.1 200 OK"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", 1, "HTTP/1.1 503 Service Unavailable"),
        (b"", 1, ""),
    ],
)
def test_only_200_is_healthy(answer: bytes, status: int, said: str) -> None:
    checked, request = check_against(answer)
    assert (checked.returncode, checked.stdout.strip()) == (status, said)
    assert request.startswith(b"GET /ready HTTP/1.1\r\n")


def test_nobody_there_is_unhealthy_and_says_why() -> None:
    with socket.socket() as held:  # bound and not listening: nobody else gets the port meanwhile
        held.bind(("127.0.0.1", 0))
        checked = check(f"127.0.0.1:{held.getsockname()[1]}", "/ready")
    assert checked.returncode == 1
    assert "refused" in checked.stdout
