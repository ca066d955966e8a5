"""`mizzen validate`: whether YAML is right; needs no mesh."""

from __future__ import annotations

from mizzen.cli.commands.options import Files
from mizzen.cli.output import Format, Output


def validate(files: Files, output: Output = Format.TABLE) -> None:
    """Check YAML and list every problem with file, line, resource and field; status 1 when there is an error.

    Rules of Mixer are checked with what the mesh has already, if there is one.
    """
    from dataclasses import asdict

    import typer

    from mizzen.cli.inputs import read_inputs
    from mizzen.cli.local.home import Home
    from mizzen.cli.output import say, show_data, warn
    from mizzen.cli.policy import with_policy
    from mizzen.cli.store import ConfigStore

    parsed = with_policy(read_inputs(files), ConfigStore(Home.locate().config).read())
    if output is not Format.TABLE:
        show_data(
            {
                "resources": [item.id for item in parsed.resources],
                "problems": [asdict(item) for item in parsed.problems],
            },
            output,
        )
    else:
        for problem in parsed.problems:
            warn(str(problem))
        if not parsed.errors:
            count = len(parsed.resources)
            say(f"{count} {'resource is' if count == 1 else 'resources are'} valid.")
    if parsed.errors:
        raise typer.Exit(1)
