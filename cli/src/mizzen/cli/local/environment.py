"""The environment variables of the processes that the local runtime starts."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from mizzen.api.kubernetes import Container
from mizzen.cli.local.home import Home
from mizzen.cli.local.layout import HTTP_PROXY_PORT

MARK = "MIZZEN_MESH"
"""Names the home folder in the environment of every process of a mesh: by it `mizzen down` finds what a killed
supervisor left, whatever the process is called and whoever its parent is."""

PROXY_VARIABLES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy", "grpc_proxy", "no_grpc_proxy"})
_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")


def mesh_environment(home: Home, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """For every process of the mesh: the user's, without the way to proxies of another network, marked as ours.

    The folder of the running interpreter comes first in PATH, so that `python` means the one with Mizzen installed.
    """
    environ = {name: value for name, value in inherited.items() if name.lower() not in PROXY_VARIABLES}
    folder = str(Path(sys.executable).parent)
    environ["PATH"] = f"{folder}{os.pathsep}{environ.get('PATH', os.defpath)}"
    environ["PYTHONUNBUFFERED"] = "1"
    environ[MARK] = str(home.path)
    return environ


def app_environment(
    base: Mapping[str, str], container: Container, pod: str, namespace: str, addresses: tuple[str, str]
) -> dict[str, str]:
    """For a container of a workload; `addresses` are the sidecar's and the application's."""
    sidecar, app = addresses
    environ = dict(base) | {
        "APP_ADDRESS": app,
        "http_proxy": f"http://{sidecar}:{HTTP_PROXY_PORT}",
        "HOSTNAME": pod,
        "POD_NAME": pod,
        "POD_NAMESPACE": namespace,
        "POD_IP": sidecar,
    }
    for variable in container.env:
        environ[variable.name] = expand(variable.value, environ)
    return environ


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Kubernetes' `$(NAME)`: `$$` stands for one dollar, and a name that is not set stays as it is."""
    return _REFERENCE.sub(lambda found: "$" if found[0] == "$$" else environ.get(found[1], found[0]), text)
