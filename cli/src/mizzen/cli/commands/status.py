"""`mizzen status`: every process or container of the mesh."""

from __future__ import annotations

from mizzen.cli.output import Format, Output


def status(output: Output = Format.TABLE) -> None:
    """Show what runs, where, and how often it was started again; status 1 when no mesh is up."""
    from dataclasses import asdict

    from mizzen.cli.local.home import Home
    from mizzen.cli.mesh import running_mesh
    from mizzen.cli.output import say, show_data, show_rows, warn

    mesh = running_mesh(Home.locate())
    if output is not Format.TABLE:
        show_data(mesh.data(), output)
        return
    rows = [asdict(process) | {"pid": process.pid or "-"} for process in mesh.processes]
    show_rows(rows, ("name", "state", "address", "pid", "restarts"), output)
    say("")
    say(mesh.summary)
    for problem in mesh.problems:
        warn(problem)
