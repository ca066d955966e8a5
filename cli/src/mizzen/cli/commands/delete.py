"""`mizzen delete`: take configuration out of the mesh."""

from __future__ import annotations

from typing import Annotated

import typer

from mizzen.cli.commands.options import Namespace

OptionalFiles = Annotated[
    list[str] | None, typer.Option("--filename", "-f", help="Delete what this YAML describes (file, folder or -).")
]


def delete(
    kind: Annotated[str | None, typer.Argument(help="The kind, such as virtualservice or vs.")] = None,
    names: Annotated[list[str] | None, typer.Argument(help="The names.")] = None,
    files: OptionalFiles = None,
    namespace: Namespace = "default",
    ignore_not_found: Annotated[
        bool, typer.Option("--ignore-not-found", help="What is not there is as it should be.")
    ] = False,
) -> None:
    """Delete resources by file, or by kind and name; status 1 when one of them is not there."""
    from mizzen.api.kinds import KINDS
    from mizzen.api.resource import ResourceKey
    from mizzen.cli.checked import checked
    from mizzen.cli.kinds import kind_named
    from mizzen.cli.local.access import config_home
    from mizzen.cli.local.home import Home
    from mizzen.cli.output import say, warn
    from mizzen.cli.store import ConfigStore

    if bool(files) == bool(kind and names):
        raise typer.BadParameter("give either -f FILE or KIND NAME")
    store = ConfigStore(config_home(Home.locate()).config)
    if files:
        keys = [resource.key for resource in checked(files, namespace, warns=False).resources]
    else:
        named = kind_named(kind or "")
        place = namespace if KINDS[named].namespaced else ""
        keys = [ResourceKey(named, place, name) for name in names or ()]
    missing = False
    for key, deleted in store.delete(keys):
        if deleted:
            say(f"{key.kind.lower()}/{key.name} deleted")
        elif not ignore_not_found:
            missing = True
            warn(f"{key} is not there")
    if missing:
        raise typer.Exit(1)
