"""The running mesh as the command line finds it."""

from __future__ import annotations

from mizzen.cli.errors import UserError
from mizzen.cli.local.home import Home
from mizzen.cli.local.locking import holder
from mizzen.cli.local.state import MeshState, read_state


def running_mesh(home: Home) -> MeshState:
    """What the supervisor last said; raises UserError when no mesh is up."""
    state = read_state(home.state) if holder(home.lock) is not None else None
    if state is None:
        raise UserError(f"No mesh is up in {home.path}; start one with `mizzen up`.")
    return state


def config_home(home: Home) -> Home:
    """The home of a mesh that was up at least once; raises UserError when there is none."""
    if not home.config.is_dir():
        raise UserError(f"There is no mesh in {home.path}; start one with `mizzen up`.")
    return home
