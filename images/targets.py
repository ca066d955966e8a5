"""The images: targets of the Dockerfile, and what their labels say."""

from __future__ import annotations

import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

OPTIONAL = ("proxy-envoy",)
"""Built when they are asked for by name."""

TITLES = {
    "pilot": "Mizzen Pilot: the control plane of the mesh",
    "mixer": "Mizzen Mixer: policy and telemetry",
    "injector": "Mizzen injector: the admission webhooks that give Pods their sidecar and check configuration",
    "proxy": "Mizzen proxy: the sidecar",
    "gateway": "Mizzen gateway: the proxy at the edge of the mesh",
    "proxy-init": "Mizzen proxy-init: rules that send an application's traffic through its sidecar",
    "demo": "Bookinfo: the demo application of the Mizzen service mesh",
    "proxy-envoy": "Mizzen proxy with a stock Envoy as data plane",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """What the images are made of."""

    version: str
    revision: str
    """The commit, with `-dirty` where files differ from it; "" outside a clone."""
    source: str
    """The URL that the clone came from; "" where that was no web address."""

    def labels(self, target: str) -> list[str]:
        labels = {
            "title": TITLES[target],
            "version": self.version,
            "revision": self.revision,
            "source": self.source,
            "licenses": "Apache-2.0",
        }
        return [f"org.opencontainers.image.{name}={value}" for name, value in labels.items() if value]


def origin_of(repository: Path) -> Origin:
    project = tomllib.loads((repository / "services/proxy/pyproject.toml").read_text())
    commit = _git(repository, "rev-parse", "HEAD")
    dirty = "-dirty" if commit and _git(repository, "status", "--porcelain", "--untracked-files=no") else ""
    return Origin(
        project["project"]["version"], commit + dirty, public_url(_git(repository, "remote", "get-url", "origin"))
    )


def public_url(remote: str) -> str:
    """The remote without user and password; "" when it is no web address."""
    parts = urlsplit(remote)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def _git(repository: Path, *arguments: str) -> str:
    try:
        command = ("git", "-C", str(repository), *arguments)
        asked = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError:
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""
