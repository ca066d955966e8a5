"""`mizzen proxy-status`: whether every proxy has what Pilot sent."""

from __future__ import annotations

from mizzen.cli.output import Format, Output


def proxy_status(output: Output = Format.TABLE) -> None:
    """Show every proxy's state per kind of configuration, as Pilot sees it.

    SYNCED: it has the latest; STALE: it has not answered yet; NOT SENT: nothing was sent; ERROR: it refused;
    IGNORED: it does not ask for this kind.

    UNSUPPORTED: so many settings the proxy was sent and does not enforce. Which, and what objects of yours ask for
    them, is in the output of -o json, in the proxy's log, and at /unsupported of its admin address, such as
    http://127.1.0.1:15000/unsupported.
    """
    from mizzen.cli.fetch import ask_json
    from mizzen.cli.local.home import Home
    from mizzen.cli.local.layout import MONITORING_PORT, PILOT
    from mizzen.cli.mesh import running_mesh
    from mizzen.cli.output import show_rows, warn
    from mizzen.cli.syncz import sync_rows

    running_mesh(Home.locate())
    rows = sync_rows(ask_json(PILOT, MONITORING_PORT, "/debug/syncz", "Pilot"))
    if not rows and output is Format.TABLE:
        warn("No proxy is connected to Pilot.")
        return
    show_rows(rows, ("name", "cds", "lds", "eds", "rds", "unsupported"), output)
    for row in rows if output is Format.TABLE else ():
        for error in row["errors"]:
            warn(f"{row['name']}: {error}")
