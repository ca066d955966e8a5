"""`mizzen proxy-config`: what one proxy works with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from mizzen.cli.output import Format, Output

Workload = Annotated[str, typer.Argument(help="A Deployment, a pod, or istio-ingressgateway; .NAMESPACE may follow.")]

app = typer.Typer(help="Show what a proxy works with.", no_args_is_help=True)


@app.command()
def listeners(workload: Workload, output: Output = Format.TABLE) -> None:
    """Where it listens."""
    from mizzen.cli.proxydump import listener_rows

    _show(workload, "/config_dump", listener_rows, ("name", "address", "destination"), output)


@app.command()
def routes(workload: Workload, output: Output = Format.TABLE) -> None:
    """Which request goes where, and which object of your configuration says so."""
    from mizzen.cli.proxydump import route_rows

    _show(workload, "/config_dump", route_rows, ("name", "virtual_host", "match", "destination", "origin"), output)


@app.command()
def clusters(workload: Workload, output: Output = Format.TABLE) -> None:
    """The destinations it knows."""
    from mizzen.cli.proxydump import cluster_rows

    _show(workload, "/config_dump", cluster_rows, ("service", "port", "subset", "direction", "type", "origin"), output)


@app.command()
def endpoints(workload: Workload, output: Output = Format.TABLE) -> None:
    """The addresses behind its destinations."""
    from mizzen.cli.proxydump import endpoint_rows

    _show(workload, "/clusters?format=json", endpoint_rows, ("endpoint", "status", "cluster"), output)


@app.command()
def secrets(workload: Workload, output: Output = Format.TABLE) -> None:
    """The certificates that it has or waits for, until when they are good, and what is wrong with them."""
    from mizzen.cli.proxydump import secret_rows

    _show(workload, "/config_dump", secret_rows, ("name", "type", "state", "not_after", "problem"), output)


@app.command()
def log(
    workload: Workload,
    level: Annotated[str | None, typer.Option(help="Set this level first: debug, info, warning, error.")] = None,
) -> None:
    """Show its log levels, or change them while it runs."""
    from urllib.parse import quote

    from mizzen.cli.output import say

    query = f"?level={quote(level)}" if level else ""
    body = _ask(workload, "POST", f"/logging{query}")
    say(body.decode(errors="replace").rstrip())


def _show(
    workload: str, path: str, rows: Callable[[Any], list[dict[str, Any]]], columns: Sequence[str], output: Format
) -> None:
    from mizzen.cli.fetch import read_json
    from mizzen.cli.output import show_rows, warn

    found = rows(read_json(_ask(workload, "GET", path), path, f"The proxy of {workload}"))
    if not found and output is Format.TABLE:
        warn("It has none.")
        return
    show_rows(found, columns, output)


def _ask(workload: str, method: str, path: str) -> bytes:
    from mizzen.cli.local.home import Home
    from mizzen.cli.mesh import running_mesh

    return running_mesh(Home.locate()).ask(workload, method, path)
