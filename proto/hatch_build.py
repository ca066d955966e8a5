"""Generates the Python code of our .proto files whenever the package is built or installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GenerateProtos(BuildHookInterface):  # type: ignore[type-arg]
    """Runs protoc over `mizzen/**/*.proto`, into `src/`, where an editable install finds it too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        sources = sorted(str(path.relative_to(root)) for path in (root / "mizzen").rglob("*.proto"))
        status = protoc.main(
            ["protoc", f"-I{root}", f"--python_out={root / 'src'}", f"--pyi_out={root / 'src'}", *sources]
        )
        if status != 0:
            raise RuntimeError(f"protoc failed with status {status} on {', '.join(sources)}")
