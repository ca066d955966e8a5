"""`mizzen mixer`: ask and tell Mixer as a proxy would, and ask it why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from mizzen.cli.output import Format, Output

if TYPE_CHECKING:
    from mizzen.attributes.values import Value

SERVER = "127.0.1.2:9091"
MONITORING = "127.0.1.2:15014"
FAILED = 2
DENIED = 1

app = typer.Typer(
    help="Ask Mixer as a proxy would. Status 1: the request would be refused; 2: there was no answer.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _list(*names: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(*names, help=f"{text}, name=value,...")
    return option


Server = Annotated[str, typer.Option("--mixer", "-m", help="Mixer's address.")]
Repeat = Annotated[int, typer.Option("--repeat", "-r", min=1, help="How often to do it.")]
Automatic = Annotated[str, _list("--attributes", "-a", text="Attributes, with the type they are known to have")]
Strings = Annotated[str, _list("--string_attributes", "-s", text="Texts")]
Integers = Annotated[str, _list("--int64_attributes", "-i", text="Whole numbers")]
Doubles = Annotated[str, _list("--double_attributes", "-d", text="Numbers")]
Bools = Annotated[str, _list("--bool_attributes", "-b", text="true or false")]
Timestamps = Annotated[str, _list("--timestamp_attributes", "-t", text="Times as in RFC 3339")]
Durations = Annotated[str, _list("--duration_attributes", text="Durations such as 1m30s")]
Bytes = Annotated[str, _list("--bytes_attributes", text="Bytes such as 0a:00:00:01")]
Maps = Annotated[str, _list("--stringmap_attributes", text="Maps such as app:web;version:v1")]


@app.command()
def check(  # noqa: PLR0913 - one parameter for each of mixc's flags
    server: Server = SERVER,
    repeat: Repeat = 1,
    quotas: Annotated[str, typer.Option("--quotas", "-q", help="Quotas to charge, name=amount,...")] = "",
    automatic: Automatic = "",
    strings: Strings = "",
    integers: Integers = "",
    doubles: Doubles = "",
    bools: Bools = "",
    timestamps: Timestamps = "",
    durations: Durations = "",
    byte_values: Bytes = "",
    maps: Maps = "",
    output: Output = Format.TABLE,
) -> None:
    """Ask whether a request with these attributes may go on."""
    from mizzen.cli.mixer.attributes import read_quotas
    from mizzen.cli.mixer.client import MixerClient
    from mizzen.cli.mixer.show import check_data, check_lines, is_allowed
    from mizzen.cli.output import say, show_data

    typed = _typed(strings, integers, doubles, bools, timestamps, durations, byte_values, maps)
    with _failures():
        values, asked = _read(automatic, typed), read_quotas(quotas)
        with _reaching(server), MixerClient(server) as client:
            responses = [client.check(values, asked) for _ in range(repeat)]
    if output is not Format.TABLE:
        data = [check_data(response) for response in responses]
        show_data(data[0] if repeat == 1 else data, output)
    else:
        for line in (line for response in responses for line in check_lines(response)):
            say(line)
    if not is_allowed(responses[-1], asked):
        raise typer.Exit(DENIED)


@app.command()
def report(  # noqa: PLR0913 - one parameter for each of mixc's flags
    server: Server = SERVER,
    repeat: Repeat = 1,
    automatic: Automatic = "",
    strings: Strings = "",
    integers: Integers = "",
    doubles: Doubles = "",
    bools: Bools = "",
    timestamps: Timestamps = "",
    durations: Durations = "",
    byte_values: Bytes = "",
    maps: Maps = "",
) -> None:
    """Tell of a request with these attributes."""
    from mizzen.cli.mixer.client import MixerClient
    from mizzen.cli.output import say

    typed = _typed(strings, integers, doubles, bools, timestamps, durations, byte_values, maps)
    with _failures():
        values = _read(automatic, typed)
        with _reaching(server), MixerClient(server) as client:
            for _ in range(repeat):
                client.report([values])
                say("Report RPC returned OK")


@app.command()
def explain(
    automatic: Automatic = "",
    quotas: Annotated[str, typer.Option("--quotas", "-q", help="Quotas to charge, name=amount,...")] = "",
    server: Annotated[
        str,
        typer.Option(
            "--mixer",
            "-m",
            help="Mixer's monitoring address; where Mixer is embedded, the admin address of the proxy to ask.",
            show_default=f"{MONITORING}, or the gateway's proxy",
        ),
    ] = "",
    values: Annotated[
        bool, typer.Option("--values", "-v", help="Also show what reports would hold and look-ups are given.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show which rules match a request and what each handler says; checks and quotas are asked for real."""
    from mizzen.cli.fetch import ask_json
    from mizzen.cli.mixer.attributes import read_quotas
    from mizzen.cli.mixer.client import check_request, explain_path
    from mizzen.cli.mixer.story import is_refused, story_lines
    from mizzen.cli.output import say, show_data
    from mizzen.runtime.address import Address

    with _failures():
        address = Address.parse(server or _explaining())
        request = check_request(_read(automatic, {}), read_quotas(quotas))
        story = ask_json(address.host, address.port, explain_path(request), "Mixer")
    if output is not Format.TABLE:
        show_data(story, output)
    else:
        for line in story_lines(story, with_values=values):
            say(line)
    if is_refused(story):
        raise typer.Exit(DENIED)


def _typed(*texts: str) -> dict[str, str]:
    """The lists of the typed flags, in the order of the readers."""
    from mizzen.cli.mixer.attributes import READERS

    return dict(zip(READERS, texts, strict=True))


def _read(automatic: str, typed: dict[str, str]) -> dict[str, Value]:
    """The attributes of a command line, with a warning for each that nobody declares: no rule can read it."""
    from mizzen.cli.local.home import Home
    from mizzen.cli.mixer.attributes import read_attributes
    from mizzen.cli.output import warn
    from mizzen.cli.policy import declared_attributes, undeclared
    from mizzen.cli.store import ConfigStore

    declared = declared_attributes(ConfigStore(Home.locate().config).read())
    values = read_attributes(automatic, typed, declared)
    for sentence in undeclared(values, declared):
        warn(f"warning: {sentence}")
    return values


def _is_embedded() -> bool:
    from mizzen.cli.local.home import Home
    from mizzen.cli.local.mixer import embeds_mixer

    return embeds_mixer(Home.locate())


def _explaining() -> str:
    """Who explains unless somebody is named."""
    from mizzen.cli.local.layout import ADMIN_PORT, GATEWAY_ADMIN

    return f"{GATEWAY_ADMIN}:{ADMIN_PORT}" if _is_embedded() else MONITORING


@contextmanager
def _reaching(server: str) -> Iterator[None]:
    """Say why there is no server where the mesh has none."""
    from mizzen.cli.errors import UserError

    try:
        yield
    except UserError as error:
        if server != SERVER or not _is_embedded():
            raise
        raise UserError(
            "This mesh has no Mixer service to call: Mixer is embedded in every proxy (mesh.yaml). "
            "`mizzen mixer explain` asks the gateway's, or with --mixer ADDRESS:15000 that of another proxy."
        ) from error


@contextmanager
def _failures() -> Iterator[None]:
    """No answer is another status than a refusal, which scripts want to tell apart."""
    from mizzen.cli.errors import UserError
    from mizzen.cli.output import warn

    try:
        yield
    except (UserError, ValueError) as error:
        warn(str(error))
        raise typer.Exit(FAILED) from error
