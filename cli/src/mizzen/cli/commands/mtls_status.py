"""`mizzen mtls-status`: who still talks plain text, and whether STRICT is safe."""

from __future__ import annotations

from typing import Annotated

import typer

from mizzen.cli.output import Format, Output


def mtls_status(
    service: Annotated[str, typer.Argument(help="One service: its name, with or without the namespace.")] = "",
    during: Annotated[
        float, typer.Option(min=0, max=3600, help="Count plain text during so many seconds, not since the start.")
    ] = 0.0,
    output: Output = Format.TABLE,
) -> None:
    """Show who still calls services in plain text, and whether STRICT is safe.

    MODE is what their workloads take, DECIDED BY the PeerAuthentication that says so. PLAINTEXT is counted by the
    servers' own proxies. STRICT tells whether anybody would be cut off by it now, and who.
    """
    from mizzen.cli.errors import UserError
    from mizzen.cli.fetch import ask_json
    from mizzen.cli.local.home import Home
    from mizzen.cli.local.layout import MONITORING_PORT, PILOT
    from mizzen.cli.mesh import running_mesh
    from mizzen.cli.mtls import mtls_rows
    from mizzen.cli.mtlslook import plain_text
    from mizzen.cli.output import show_rows, warn

    mesh = running_mesh(Home.locate())
    ports = ask_json(PILOT, MONITORING_PORT, "/debug/mtlsz", "Pilot")
    if service:
        known = sorted({port["service"] for port in ports})
        ports = [port for port in ports if f"{port['service']}.".startswith(f"{service}.")]
        if not ports:
            raise UserError(
                f"There is no service {service!r} with endpoints; those of the mesh are {', '.join(known)}."
            )
    rows = mtls_rows(ports, plain_text(mesh, ports, during))
    if not rows and output is Format.TABLE:
        warn("No service of the mesh has endpoints.")
        return
    show_rows(rows, ("service", "port", "mode", "decided_by", "plaintext", "strict"), output)
