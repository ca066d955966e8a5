"""`mizzen up`: start the local mesh."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Engine(StrEnum):
    """The data plane."""

    PYTHON = "python"
    ENVOY = "envoy"


def up(
    engine: Annotated[Engine, typer.Option(help="The data plane: our proxy, or a stock Envoy.")] = Engine.PYTHON,
    files: Annotated[
        list[str] | None,
        typer.Option("--filename", "-f", help="Your application's YAML; the default is the bookinfo demo."),
    ] = None,
    mixer: Annotated[
        bool | None,
        typer.Option(
            "--mixer/--no-mixer", help="Policy and telemetry, for a new mesh; an old one's mesh.yaml says it."
        ),
    ] = None,
    embedded_mixer: Annotated[
        bool, typer.Option("--embedded-mixer", help="Mixer in every proxy, in place of a service; for a new mesh.")
    ] = False,
) -> None:
    """Start a mesh on this machine, wait until it serves, and print its addresses."""
    from mizzen.cli.checked import checked_inputs
    from mizzen.cli.errors import UserError
    from mizzen.cli.local.home import Home
    from mizzen.cli.local.locking import holder
    from mizzen.cli.local.state import read_state
    from mizzen.cli.local.up import bring_up, print_urls
    from mizzen.cli.output import say
    from mizzen.cli.store import ConfigStore

    if embedded_mixer and mixer is False:
        raise UserError("--no-mixer and --embedded-mixer contradict each other.")
    home = Home.locate()
    if holder(home.lock) is not None:
        state = read_state(home.state)
        if state is not None and state.engine != engine:
            raise UserError(
                f"The mesh in {home.path} is up with engine {state.engine}; `mizzen down` first to use {engine.value}."
            )
        if files:
            ConfigStore(home.config).write(checked_inputs(files))
        say(f"The mesh in {home.path} is up already{f' (engine {state.engine})' if state else ''}.")
        print_urls(home)
        return
    bring_up(home, engine.value, files or [], mixer="embedded" if embedded_mixer else mixer)
