"""Where the bookinfo demo's YAML is."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from mizzen.cli.errors import UserError

ROUTING = ("networking/bookinfo-gateway.yaml", "networking/destination-rule-all.yaml")
FILES = ("platform/bookinfo.yaml", *ROUTING)


def routing_files() -> list[str]:
    """How the demo is reached, without what runs; raises UserError."""
    return demo_files()[-len(ROUTING) :]


def demo_files() -> list[str]:
    """The files of the demo, from the installed package or the repository around it; raises UserError."""
    spec = find_spec("bookinfo")
    if spec is None or spec.origin is None:
        raise UserError("The bookinfo demo is not installed; give your own application with `mizzen up -f FILE`.")
    package = Path(spec.origin).parent
    for folder in (package, package.parents[1]):
        files = [folder / name for name in FILES]
        if all(file.is_file() for file in files):
            return [str(file) for file in files]
    raise UserError(f"The bookinfo demo's YAML is missing beside {package}; give an application with `mizzen up -f`.")
