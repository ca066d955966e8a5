"""`mizzen version`."""

from __future__ import annotations

from mizzen.cli.output import Format, Output


def version(output: Output = Format.TABLE) -> None:
    """Show the versions of the command line and of Python."""
    import platform
    from importlib.metadata import version as installed

    from mizzen.cli.output import say, show_data

    versions = {"mizzen": installed("mizzen"), "python": platform.python_version()}
    if output is Format.TABLE:
        for name, number in versions.items():
            say(f"{name} {number}")
    else:
        show_data(versions, output)
