"""The YAML that `-f` names: files, folders, and `-` for standard input."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mizzen.api.parse import Parsed, parse
from mizzen.cli.errors import UserError

SUFFIXES = (".yaml", ".yml")


def read_inputs(names: Iterable[str], namespace: str = "default") -> Parsed:
    """Everything that the names hold, with all its problems; raises UserError for what cannot be read."""
    results = [parse(text, file=name, default_namespace=namespace) for name, text in read_texts(names)]
    return Parsed(
        tuple(resource for result in results for resource in result.resources),
        tuple(problem for result in results for problem in result.problems),
    )


def read_texts(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Name and text of every file, with the line breaks it has; raises UserError for what cannot be read."""
    for name in names:
        if name == "-":
            yield "<stdin>", _decoded("standard input", sys.stdin.buffer.read)
            continue
        path = Path(name)
        for file in _files(path):
            yield str(file), _decoded(str(file), file.read_bytes)


def read_text(path: Path) -> str:
    """A file's text; raises UserError."""
    return _decoded(str(path), path.read_bytes)


def _decoded(name: str, read: Callable[[], bytes]) -> str:
    try:
        return read().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UserError(f"Cannot read {name}: {reason}.") from error


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
    if not files:
        raise UserError(f"There are no YAML files in the folder {path}.")
    return files
