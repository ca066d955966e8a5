"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Files = Annotated[
    list[str], typer.Option("--filename", "-f", help="A YAML file, a folder of them, or - for standard input.")
]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="The namespace.")]
