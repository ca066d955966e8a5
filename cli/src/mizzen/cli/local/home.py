"""The folder that a local mesh lives in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """Where one mesh keeps its configuration, state and logs; nothing of it is written elsewhere."""

    path: Path

    @classmethod
    def locate(cls, environ: Mapping[str, str] = os.environ) -> Home:
        """MIZZEN_HOME, or `.mizzen` in the working directory."""
        return cls(Path(environ.get("MIZZEN_HOME") or ".mizzen").absolute())

    @property
    def config(self) -> Path:
        """What the user applied, one resource a file."""
        return self.path / "config"

    @property
    def registry(self) -> Path:
        """Pods and EndpointSlices, written by the supervisor and read by Pilot."""
        return self.path / "registry"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def agents(self) -> Path:
        """What proxies keep between their parts, such as a bootstrap file; one folder a proxy."""
        return self.path / "agents"

    @property
    def mesh_config(self) -> Path:
        return self.path / "mesh.yaml"

    @property
    def identity(self) -> Path:
        """Keys and tokens by which workloads get their certificates; secret but for the public keys."""
        return self.path / "identity"

    @property
    def token_key(self) -> Path:
        """What signs tokens."""
        return self.identity / "token-key.json"

    @property
    def token_keys(self) -> Path:
        """The public keys of tokens."""
        return self.identity / "token-keys.json"

    @property
    def authority(self) -> Path:
        """The certificate authority's files; the root outlives every mesh that is brought up here."""
        return self.path / "ca"

    @property
    def roots(self) -> Path:
        """What containers are to trust: a folder that Pilot writes and everybody reads."""
        return self.path / "roots"

    @property
    def state(self) -> Path:
        return self.path / "state.json"

    @property
    def compose(self) -> Path:
        """Which compose project the mesh is; there is none while the mesh is down, or one of processes."""
        return self.path / "compose.json"

    @property
    def lock(self) -> Path:
        """Held (flock) by the supervisor for as long as it lives; contains its pid."""
        return self.path / "supervisor.pid"

    def log(self, process: str) -> Path:
        return self.logs / f"{process}.log"
