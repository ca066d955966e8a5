"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from mizzen.proxy.io import forward


def describe() -> dict[str, str | int | float]:
    """CPU model, cores, memory, kernel and Python of this machine, and which form of the proxy is measured."""
    return {
        "cpu": _field(Path("/proc/cpuinfo"), "model name") or platform.processor() or "unknown",
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int((_field(Path("/proc/meminfo"), "MemTotal") or "0 kB").split()[0]) / 2**20, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "mizzen": "compiled" if forward.__file__.endswith(".so") else "interpreted",
        "load_average": round(os.getloadavg()[0], 2),
    }


def commit(repository: Path) -> str:
    """The commit of the checkout, with `-dirty` when files differ from it; "unknown" outside of a checkout."""
    done = subprocess.run(
        ["git", "-C", str(repository), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def _field(file: Path, name: str) -> str:
    for line in file.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
