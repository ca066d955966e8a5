"""`mizzen scale`: run more or fewer replicas of a Deployment."""

from __future__ import annotations

from typing import Annotated

import typer

from mizzen.cli.commands.options import Namespace


def scale(
    target: Annotated[str, typer.Argument(help="deployment/NAME, or just the name.")],
    replicas: Annotated[int, typer.Option("--replicas", min=0, help="How many should run.")],
    namespace: Namespace = "default",
) -> None:
    """Change how many replicas of a Deployment run."""
    from dataclasses import replace

    from mizzen.api.kubernetes import Deployment
    from mizzen.api.resource import ResourceKey
    from mizzen.cli.compose.project import read_project
    from mizzen.cli.errors import UserError
    from mizzen.cli.kinds import kind_named
    from mizzen.cli.local.access import config_home
    from mizzen.cli.local.home import Home
    from mizzen.cli.output import say
    from mizzen.cli.store import ConfigStore

    home = config_home(Home.locate())
    if read_project(home) is not None:
        raise UserError("A mesh of containers has the replicas that its compose file names: docs/install/compose.md.")
    kind, slash, name = target.partition("/")
    if slash and kind_named(kind) != "Deployment":
        raise UserError(f"Only a Deployment can be scaled, not a {kind_named(kind)}.")
    store = ConfigStore(home.config)
    key = ResourceKey("Deployment", namespace, name if slash else target)
    resource = store.read().get(key)
    if resource is None or not isinstance(resource.spec, Deployment):
        raise UserError(f"There is no {key}.")
    scaled = replace(resource, spec=resource.spec.model_copy(update={"replicas": replicas}))
    store.write([scaled])
    say(f"deployment/{key.name} scaled to {replicas}")
