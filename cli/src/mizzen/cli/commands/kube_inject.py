"""`mizzen kube-inject`: sidecars into Kubernetes YAML, before it is applied; needs no mesh and no cluster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mizzen.cli.commands.options import Files, Namespace


def kube_inject(
    files: Files,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write there, not to standard output.")] = None,
    values: Annotated[Path | None, typer.Option("--values", "--valuesFile", help="Values of the chart.")] = None,
    mesh_config: Annotated[
        Path | None, typer.Option("--mesh-config", "--meshConfigFile", help="The mesh config, YAML.")
    ] = None,
    inject_config: Annotated[
        Path | None, typer.Option("--inject-config", "--injectConfigFile", help="The injector's templates, YAML.")
    ] = None,
    revision: Annotated[str, typer.Option("--revision", "-r", help="Control plane revision, over the values'.")] = "",
    namespace: Namespace = "default",
    native_sidecars: Annotated[
        bool, typer.Option("--native-sidecars", help="The cluster has Kubernetes 1.33 or newer.")
    ] = False,
) -> None:
    """Add the sidecar to every Pod in YAML files; the rest of the text stays as it is. Status 1 when one is wrong."""
    from mizzen.cli.errors import UserError
    from mizzen.cli.inputs import read_text, read_texts
    from mizzen.cli.kubeinject.files import inject_text, with_revision
    from mizzen.cli.output import warn
    from mizzen.injector.injection.settings import read_settings
    from mizzen.runtime.files import write_atomic

    texts = [read_text(path) if path else "" for path in (values, mesh_config, inject_config)]
    try:
        settings = read_settings(*texts, native_sidecars=native_sidecars)
    except ValueError as error:
        raise UserError(str(error)) from error
    if revision:
        settings = with_revision(settings, revision)
    results = [inject_text(text, file, settings, namespace) for file, text in read_texts(files)]
    for line in (line for result in results for line in result.warnings):
        warn(line)
    if errors := [line for result in results for line in result.errors]:
        raise UserError("\n".join(errors))
    text = "---\n".join(result.text if result.text.endswith("\n") else result.text + "\n" for result in results[:-1])
    text = f"{text}---\n{results[-1].text}" if text else results[-1].text
    if output is None:
        sys.stdout.write(text)
        return
    try:
        write_atomic(output, text)
    except OSError as error:
        raise UserError(f"Cannot write {output}: {error.strerror}.") from error
