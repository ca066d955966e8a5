"""Entry point of the `mizzen` command."""

from __future__ import annotations

import sys

import typer

from mizzen.cli.commands import (
    apply,
    delete,
    down,
    get,
    kube_inject,
    mixer,
    mtls_status,
    proxy_config,
    proxy_status,
    runtime,
    scale,
    status,
    up,
    validate,
    version,
)
from mizzen.cli.errors import UserError

INTERRUPTED = 130

app = typer.Typer(
    help="The Mizzen service mesh: a mesh on this machine, its configuration, its proxies.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    up.up,
    down.down,
    status.status,
    apply.apply,
    get.get,
    delete.delete,
    scale.scale,
    validate.validate,
    kube_inject.kube_inject,
    proxy_status.proxy_status,
    mtls_status.mtls_status,
    runtime.runtime,
    version.version,
):
    app.command()(command)
app.add_typer(proxy_config.app, name="proxy-config")
app.add_typer(mixer.app, name="mixer")


def main() -> None:
    """Run the command line; errors that a person can act on become one message and status 1."""
    try:
        app()
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.exit(1)  # the reader of a pipe, such as head, has seen enough


if __name__ == "__main__":
    main()
