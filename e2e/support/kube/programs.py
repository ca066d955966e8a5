"""Where the programs are: KUBEBUILDER_ASSETS, then what `make e2e-tools` built, then (for etcd alone) the PATH."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
CHART = REPOSITORY / "charts/mizzen"
BUILT = REPOSITORY / "e2e/tools/bin"


def program(name: str) -> str:
    """The path of one; raises FileNotFoundError that says how to get it."""
    folders = [Path(assets)] if (assets := os.environ.get("KUBEBUILDER_ASSETS")) else []
    for folder in (*folders, BUILT):
        if os.access(folder / name, os.X_OK):
            return str(folder / name)
    # A kubectl or helm of the machine may be of any version; etcd comes from Debian.
    if name == "etcd" and (found := shutil.which(name)):
        return found
    source = "install Debian's etcd-server" if name == "etcd" else "run `make e2e-tools`"
    raise FileNotFoundError(f"there is no {name}: {source}, or set KUBEBUILDER_ASSETS")


def gateway_api() -> Path:
    """The folder with the definitions of the Gateway API; raises FileNotFoundError that says how to get it."""
    found = sorted((BUILT / "gateway-api").glob("v*"))
    if not found:
        raise FileNotFoundError("there are no definitions of the Gateway API: run `make e2e-tools`")
    return found[-1]
