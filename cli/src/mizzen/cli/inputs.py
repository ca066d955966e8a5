"""The YAML that `-f` names: files, folders, and `-` for standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from mizzen.api.parse import Parsed, parse
from mizzen.cli.errors import UserError

SUFFIXES = (".yaml", ".yml")


def read_inputs(names: Iterable[str], namespace: str = "default") -> Parsed:
    """Everything that the names hold, with all its problems; raises UserError for what cannot be read."""
    results = [parse(text, file=name, default_namespace=namespace) for name, text in _texts(names)]
    return Parsed(
        tuple(resource for result in results for resource in result.resources),
        tuple(problem for result in results for problem in result.problems),
    )


def _texts(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        if name == "-":
            yield "<stdin>", sys.stdin.read()
            continue
        path = Path(name)
        for file in _files(path):
            try:
                yield str(file), file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
                raise UserError(f"Cannot read {file}: {reason}.") from error


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
    if not files:
        raise UserError(f"There are no YAML files in the folder {path}.")
    return files
