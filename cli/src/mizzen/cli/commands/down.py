"""`mizzen down`: stop the local mesh."""

from __future__ import annotations


def down() -> None:
    """Stop every process of the mesh, also after its supervisor was killed; configuration and logs stay."""
    from mizzen.cli.local.control import stop_mesh
    from mizzen.cli.local.home import Home
    from mizzen.cli.output import say

    home = Home.locate()
    count = stop_mesh(home)
    say(f"Stopped {count} processes and their workers." if count else "Nothing is up.")
