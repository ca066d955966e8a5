"""A mesh on the local runtime: processes of this machine."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mizzen.runtime.address import unused_port
from support.mesh import Folders, Mesh


class LocalMesh(Mesh):
    """Processes of this machine."""

    runtime = "local"
    proxies = 7
    visitors = "127.0.0.0/8"
    outside = "127.0.0.1"

    def app(self, workload: str) -> str:
        return f"{workload}-1.app"

    def sidecar(self, workload: str) -> str:
        return f"{workload}-1.sidecar"

    def log(self, process: str) -> list[str]:
        return (self.home / "logs" / f"{process}.log").read_text().splitlines()

    def stop(self, workload: str) -> None:
        self.ok("scale", f"deployment/{workload}", "--replicas", "0")

    def start(self, workload: str) -> None:
        self.ok("scale", f"deployment/{workload}", "--replicas", "1")

    def adapters(self) -> Folders:
        folder = Path(tempfile.mkdtemp(dir=self.home))

        def read(name: str) -> str:
            file = folder / name
            return file.read_text() if file.exists() else ""

        return Folders(folder, str(folder), str(folder), read)

    @contextmanager
    def redis(self) -> Iterator[str]:
        port = unused_port()
        program = shutil.which("redis-server") or "redis-server"
        redis = subprocess.Popen([program, "--port", str(port), "--save", "", "--dir", str(self.home)])
        try:
            yield f"127.0.0.1:{port}"
        finally:
            redis.kill()
            redis.wait()
