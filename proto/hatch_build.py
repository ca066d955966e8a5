"""Generates the Python code of our .proto files whenever the package is built or installed."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GenerateProtos(BuildHookInterface):  # type: ignore[type-arg]
    """Runs protoc over `mizzen/**/*.proto`, into `src/`, where an editable install finds it too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        sources = sorted(str(path.relative_to(root)) for path in (root / "mizzen").rglob("*.proto"))
        well_known = files("grpc_tools") / "_proto"  # google/protobuf/*.proto
        outputs = (f"--python_out={root / 'src'}", f"--pyi_out={root / 'src'}")
        status = protoc.main(["protoc", f"-I{root}", f"-I{well_known}", *outputs, *sources])
        if status != 0:
            raise RuntimeError(f"protoc failed with status {status} on {', '.join(sources)}")
