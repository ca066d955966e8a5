"""Compiles the hot modules with mypyc while a wheel is built, if the build asks for it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from mypyc.build import mypycify
from setuptools import Distribution
from setuptools.command.build_ext import build_ext

PACKAGE = Path("mizzen", "proxy")


class CompileHotModules(BuildHookInterface):  # type: ignore[type-arg]
    """Adds an extension beside each module of the hook's `modules`; Python then prefers the extension."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            raise RuntimeError("an editable install runs the sources; only a wheel can be compiled")
        self._folder = tempfile.TemporaryDirectory(prefix="mizzen-proxy-")
        folder = Path(self._folder.name)
        shutil.copytree(Path(self.root, "src"), folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
        patterns = [f"{module}.py" for module in self.config["modules"]]
        for built in compile_modules(folder / "src", patterns):
            build_data["force_include"][str(built)] = str(built.relative_to(folder / "built"))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self._folder.cleanup()


def compile_modules(source: Path, patterns: list[str]) -> list[Path]:
    """Compile the modules of the package under `source` that match; returns the extensions, in `../built`."""
    package = source / PACKAGE
    modules: list[str] = []
    for pattern in patterns:
        found = [path for path in sorted(package.glob(pattern)) if path.name != "__init__.py"]
        if not found:
            raise RuntimeError(f"no module is called {pattern}: was it renamed?")
        modules += [str(path.relative_to(source)) for path in found]
    options = ["--config-file=", "--ignore-missing-imports", "--namespace-packages", "--explicit-package-bases"]
    with contextlib.chdir(source):
        extensions = mypycify([*options, *modules], opt_level="3", target_dir=str(source.parent / "generated"))
        command = build_ext(Distribution({"name": "mizzen-proxy", "ext_modules": extensions}))
        command.build_lib = str(source.parent / "built")
        command.build_temp = str(source.parent / "objects")
        command.ensure_finalized()
        command.run()
    return sorted((source.parent / "built").rglob("*.so"))
