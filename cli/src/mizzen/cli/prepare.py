"""What a new mesh begins with, whichever runtime it is on."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Literal

from mizzen.api.dump import to_dict
from mizzen.cli.checked import checked_inputs
from mizzen.cli.errors import UserError
from mizzen.cli.local.home import Home
from mizzen.cli.local.mixer import EMBEDDED_CONFIG, MIXER_CONFIG, embeds_mixer, telemetry_file, wants_mixer
from mizzen.cli.output import say
from mizzen.cli.store import ConfigStore
from mizzen.runtime.files import write_atomic

MESH_CONFIG = """\
# Settings of the whole mesh, as in Istio's MeshConfig. Changes are live.
accessLogFile: /dev/stdout
# Where a port does not say what is spoken, who is silent for so long is waiting for a server that speaks first. Istio's
# default is to wait without limit.
protocolDetectionTimeout: 300ms
# Proxies add themselves to the header via, of requests and of responses: curl -i shows the way that was gone.
viaHeader: true
# Answers that proxies make themselves say why in x-mesh-reason, to everybody: for development.
reasonHeader: true
"""


def write_mesh_config(home: Home, mixer: str) -> None:
    """Make the mesh config of a new mesh, with Mixer's part and default telemetry; one that is there stays."""
    home.config.mkdir(parents=True, exist_ok=True)
    if home.mesh_config.exists():
        return
    if mixer:
        store = ConfigStore(home.config)
        known = store.read()
        store.write(item for item in checked_inputs([str(telemetry_file())]) if item.key not in known)
    write_atomic(home.mesh_config, MESH_CONFIG + mixer)


def tell_kept(home: Home, application: Sequence[str]) -> None:
    """Say it when more, or other, configuration is in force than a new mesh with this application's YAML would have."""
    expected = {item.key: to_dict(item) for item in checked_inputs((*application, str(telemetry_file())))}
    kept = sum(to_dict(item) != expected.get(key) for key, item in ConfigStore(home.config).read().items())
    if kept:
        what = "1 resource is" if kept == 1 else f"{kept} resources are"
        say(f"{what} kept from last time (rm -r {shlex.quote(str(home.path))} forgets the mesh).")


def mixer_config(home: Home, engine: str, asked: bool | Literal["embedded"] | None) -> str:
    """Mixer's part of a new mesh config: there is one unless it is not wanted.

    Raises UserError where an old one says otherwise than the flag.
    """
    named, embedded = wants_mixer(home), embeds_mixer(home)
    if engine != "python" and (embedded or asked == "embedded"):
        raise UserError(f"Only the engine python has a Mixer embedded, not {engine}.")
    if not home.mesh_config.exists():
        return {"embedded": EMBEDDED_CONFIG, False: ""}.get(asked, MIXER_CONFIG)
    if asked == "embedded" and not embedded:
        raise UserError(f"{home.mesh_config} says otherwise; let it name Mixer with these lines:\n{EMBEDDED_CONFIG}")
    if asked is False and named:
        raise UserError(f"{home.mesh_config} names Mixer; take mixerCheckServer and mixerReportServer out of it first.")
    if asked is True and not named:
        raise UserError(f"{home.mesh_config} does not name Mixer; add these lines:\n{MIXER_CONFIG}")
    return ""
