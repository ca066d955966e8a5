"""What stories of captured traffic share: an unmodified client, and the proofs of where its traffic went."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable

from capture.harness.hosts import Host
from capture.harness.mesh import Mesh

APPLICATION_UID = 1000
WAIT_SECONDS = 15
OUTBOUND_WEB = "outbound|80||web.default.svc.cluster.local"


class Response:
    """What curl got."""

    def __init__(self, text: str) -> None:
        head, _, body = text.partition("\n\n")
        status, *lines = head.split("\n")
        self.status = int(status.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        self.body = body

    @property
    def seen(self) -> dict:
        """What the application saw of the request."""
        return json.loads(self.body)


def curl(host: Host, url: str, *options: str, uid: int = APPLICATION_UID) -> Response:
    return Response(host.run("curl", "-sSi", "--max-time", "10", *options, url, uid=uid))


def web_url(address: str, port: int = 80) -> str:
    """A URL whose path nobody else uses, to be found in logs."""
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}/{secrets.token_hex(8)}"


def eventually(true: Callable[[], object], what: str) -> None:
    """Logs are written in batches and configuration arrives when it does."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < deadline, f"{what}: not in {WAIT_SECONDS} s"
        time.sleep(0.1)


def crossed(mesh: Mesh, host: str, *parts: str) -> None:
    """There is a line with all these parts in the access log of this host's proxy."""
    eventually(lambda: mesh.log_lines(host, *parts), f"a line with {parts} in the log of the proxy of {host}")
