"""`mizzen runtime`: what `make up` uses here."""

from __future__ import annotations

from typing import Annotated

import typer


def runtime(
    wanted: Annotated[str, typer.Argument(help="auto, local or compose.")] = "auto",
) -> None:
    """Print the runtime that `make up` takes: compose where a Docker engine and a compose command answer."""
    from mizzen.cli.compose.command import compose_command
    from mizzen.cli.errors import UserError
    from mizzen.cli.local.home import Home
    from mizzen.cli.mesh import kind_of
    from mizzen.cli.output import say, warn

    if wanted not in ("auto", "local", "compose"):
        raise UserError(f"RUNTIME={wanted} is unknown; use auto, local or compose.")
    there = kind_of(Home.locate())
    if wanted == "auto" and there is not None:
        say(there[0])
        return
    try:
        if wanted != "local":
            compose_command()
            wanted = "compose"
    except UserError as error:
        if wanted == "compose":
            raise
        warn(f"{error} The mesh runs as processes of this machine (RUNTIME=local).")
        wanted = "local"
    say(wanted)
