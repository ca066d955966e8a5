"""`mizzen up`: start a mesh."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from mizzen.cli.local.home import Home


class Engine(StrEnum):
    """The data plane."""

    PYTHON = "python"
    ENVOY = "envoy"


class Runtime(StrEnum):
    """What a mesh is made of."""

    LOCAL = "local"
    COMPOSE = "compose"


def up(
    runtime: Annotated[Runtime, typer.Option(help="Processes of this machine, or containers.")] = Runtime.LOCAL,
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
    observability: Annotated[
        bool, typer.Option("--observability", help="Prometheus, Redis and Jaeger as well; for the runtime compose.")
    ] = False,
) -> None:
    """Start a mesh on this machine, wait until it serves, and print its addresses."""
    from mizzen.cli.errors import UserError
    from mizzen.cli.local.home import Home
    from mizzen.cli.local.up import print_urls
    from mizzen.cli.mesh import kind_of
    from mizzen.cli.output import say

    if embedded_mixer and mixer is False:
        raise UserError("--no-mixer and --embedded-mixer contradict each other.")
    home = Home.locate()
    there = kind_of(home)
    asked: bool | Literal["embedded"] | None = "embedded" if embedded_mixer else mixer
    if there is None:
        _start(runtime, engine, files or [], asked, observability=observability)
        return
    if there != (runtime, engine):
        raise UserError(
            f"The mesh in {home.path} is up with runtime {there[0]} and engine {there[1]}; `mizzen down` first to use "
            f"{runtime.value} and {engine.value}."
        )
    _go_on(home, engine, files or [], asked, observability=observability)
    say(f"The mesh in {home.path} is up already ({runtime.value}, engine {engine.value}).")
    print_urls(home)


def _go_on(
    home: Home, engine: Engine, files: list[str], mixer: bool | Literal["embedded"] | None, *, observability: bool
) -> None:
    """Apply what was named to a mesh that is up; raises UserError for flags that it would have to start anew for."""
    from mizzen.cli.checked import checked_inputs
    from mizzen.cli.compose.project import PROFILE, read_project
    from mizzen.cli.errors import UserError
    from mizzen.cli.prepare import mixer_config
    from mizzen.cli.store import ConfigStore

    mixer_config(home, engine.value, mixer)
    project = read_project(home)
    if observability and (project is None or PROFILE not in project.profiles):
        raise UserError(f"The mesh in {home.path} is up without --observability; `mizzen down` first to use it.")
    if files:
        ConfigStore(home.config).write(checked_inputs(files))


def _start(
    runtime: Runtime, engine: Engine, files: list[str], mixer: bool | Literal["embedded"] | None, *, observability: bool
) -> None:
    from mizzen.cli.compose.up import bring_up as bring_up_containers
    from mizzen.cli.errors import UserError
    from mizzen.cli.local.home import Home
    from mizzen.cli.local.up import bring_up as bring_up_processes

    if runtime is Runtime.COMPOSE:
        bring_up_containers(Home.locate(), engine.value, files, mixer=mixer, observability=observability)
    elif observability:
        raise UserError("--observability goes with --runtime compose.")
    else:
        bring_up_processes(Home.locate(), engine.value, files, mixer=mixer)
