"""Tables for people, JSON and YAML for programs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

PIPE_WIDTH = 400
"""Columns of a table that no terminal shows: nothing is cut or wrapped."""

COLOURS = {
    "running": "green",
    "ready": "green",
    "SYNCED": "green",
    "starting": "yellow",
    "restarting": "red",
    "stopped": "red",
    "STALE": "yellow",
    "NOT SENT": "yellow",
    "ERROR": "red",
    "IGNORED": "dim",
}


class Format(StrEnum):
    """What `-o` takes."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[Format, typer.Option("--output", "-o", help="How to print it.")]


def show_data(data: Any, form: Format) -> None:
    """Print plain values as JSON or YAML."""
    if form is Format.YAML:
        import yaml

        sys.stdout.write(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
    else:
        sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], form: Format) -> None:
    """Print rows; as a table only the named columns, whose headings are the keys in capitals."""
    if form is not Format.TABLE:
        show_data([dict(row) for row in rows], form)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column.upper().replace("_", " "), overflow="fold")
    for row in rows:
        cells = (str(row[column]) for column in columns)
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in cells))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPE_WIDTH)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")


def command_name() -> str:
    """What calls this command line: its name, or its path where PATH does not lead to it."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "mizzen" and shutil.which("mizzen") is None else "mizzen"


def say(text: str) -> None:
    """One line for a person, on standard output."""
    sys.stdout.write(text + "\n")


def warn(text: str) -> None:
    """One line for a person, on standard error."""
    sys.stderr.write(text + "\n")
