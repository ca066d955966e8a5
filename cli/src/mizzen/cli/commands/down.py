"""`mizzen down`: stop the mesh."""

from __future__ import annotations


def down() -> None:
    """Stop all of the mesh, also after its supervisor was killed; configuration and the logs of processes stay."""
    from mizzen.cli.compose.up import project_of, take_down
    from mizzen.cli.local.control import stop_mesh
    from mizzen.cli.local.home import Home
    from mizzen.cli.output import say

    home = Home.locate()
    project = project_of(home)
    if project is not None:
        say(f"Removed {take_down(home, project)} containers and their network.")
        return
    count = stop_mesh(home)
    say(f"Stopped {count} processes and their workers." if count else "Nothing is up.")
