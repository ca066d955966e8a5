"""Asks servers' proxies who called them in plain text."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from mizzen.cli.errors import UserError
from mizzen.cli.mesh import Mesh
from mizzen.cli.mtls import Plain, plain_sources, since

PATH = "/stats/prometheus"


def plain_text(mesh: Mesh, ports: Iterable[Mapping[str, Any]], seconds: float) -> dict[str, Plain | None]:
    """By the proxy's name: since it started, or during so many seconds; None where it does not tell."""
    names = sorted({each["proxy"] for port in ports for each in port["workloads"] if each["proxy"]})
    found = {name: _look(mesh, name) for name in names}
    if not seconds:
        return found
    time.sleep(seconds)
    return {name: since(before, _look(mesh, name)) for name, before in found.items()}


def _look(mesh: Mesh, name: str) -> Plain | None:
    try:
        return plain_sources(mesh.ask(name, "GET", PATH).decode(errors="replace"))
    except UserError:
        return None  # it is not of this runtime, or does not answer
